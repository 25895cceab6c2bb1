(module
  (import "" "begin" (func $begin))
  (memory (export "memory") 1)
  (func $point (param $x f64) (param $y f64) (result i32) (local $z v128) (local $n i32) (local $w v128) (local $next f64)
    (loop $on
      (local.set $w (f64x2.mul (local.get $z) (local.get $z)))
      (local.set $next (f64.add (local.get $x)
        (f64.sub (f64x2.extract_lane 0 (local.get $w)) (f64x2.extract_lane 1 (local.get $w)))))
      (local.set $z (f64x2.replace_lane 1 (f64x2.splat (local.get $next))
        (f64.add (local.get $y) (f64.mul (f64.const 2)
          (f64.mul (f64x2.extract_lane 0 (local.get $z)) (f64x2.extract_lane 1 (local.get $z)))))))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $on (i32.and
        (f64.lt (f64.add (f64x2.extract_lane 0 (local.get $w)) (f64x2.extract_lane 1 (local.get $w))) (f64.const 4))
        (i32.lt_u (local.get $n) (i32.const 200)))))
    (local.get $n))
  (func (export "run") (result i64) (local $at i32) (local $sum i64)
    (loop $next
      (i32.store8 (local.get $at) (call $point
        (f64.sub (f64.div (f64.convert_i32_u (i32.and (local.get $at) (i32.const 255))) (f64.const 100)) (f64.const 2))
        (f64.sub (f64.div (f64.convert_i32_u (i32.shr_u (local.get $at) (i32.const 8))) (f64.const 50)) (f64.const 1))))
      (local.set $sum (i64.add (i64.rotl (local.get $sum) (i64.const 3)) (i64.load8_u (local.get $at))))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 32768))))
    (local.get $sum)))
