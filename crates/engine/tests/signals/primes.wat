(module
  (import "" "begin" (func $begin))
  (memory (export "memory") 16)
  (func $mark (param $step i32) (local $at i32)
    (local.set $at (i32.mul (local.get $step) (local.get $step)))
    (block $done (loop $on
      (br_if $done (i32.ge_u (local.get $at) (i32.const 1000000)))
      (i32.store8 (local.get $at) (i32.const 1))
      (local.set $at (i32.add (local.get $at) (local.get $step)))
      (br $on))))
  (func (export "run") (result i64) (local $n i32) (local $sum i64)
    (local.set $n (i32.const 2))
    (loop $next
      (if (i32.eqz (i32.load8_u (local.get $n))) (then
        (local.set $sum (i64.add (i64.rotl (local.get $sum) (i64.const 7)) (i64.extend_i32_u (local.get $n))))
        (if (i32.lt_u (local.get $n) (i32.const 1000)) (then (call $mark (local.get $n))))))
      (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000000))))
    (local.get $sum)))
