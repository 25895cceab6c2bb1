;; guarded precise
(module
  (memory 1 4)
  ;; Its turns can be counted: the copy makes all of them, if all stay inside.
  (func $sum (param $at i32) (param $count i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (i32.load offset=8 (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 4)))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
    (local.get $sum))
  ;; Its turns cannot: the copy makes as many as stay inside.
  (func $clear (param $at i32)
    (loop $again
      (br_if $again (i32.load8_u (local.get $at)))
      (i32.store8 (local.get $at) (i32.const 0)))))
