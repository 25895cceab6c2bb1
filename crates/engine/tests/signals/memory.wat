(module
  (import "" "begin" (func $begin))
  (import "" "twice" (func $twice (param i64) (result i64)))
  (memory (export "memory") 1 8)
  (func (export "run") (result i64) (local $n i32) (local $sum i64)
    (call $begin)
    (loop $again
      (memory.fill (i32.mul (local.get $n) (i32.const 100)) (i32.add (local.get $n) (i32.const 1)) (i32.const 77))
      (memory.copy (i32.const 1000) (i32.mul (local.get $n) (i32.const 100)) (i32.const 90))
      (local.set $sum (i64.add (local.get $sum) (call $twice (i64.load (i32.const 1003)))))
      (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_s (memory.grow (local.get $n)))))
      (i64.store8 (i32.add (i32.const 2000) (local.get $n)) (local.get $sum))
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 3))))
    (local.get $sum)))
