;; guarded precise
(module
  (func (param i32 i32) (result i32) (i32.rem_s (local.get 0) (local.get 1)))
  (func (param i32 i32) (result i32) (i32.shl (local.get 0) (local.get 1)))
  (func (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
  (func (param f32) (result f32) (f32.mul (local.get 0) (f32.const 1)))
  (func (param f32 f32) (result f32) (f32.min (local.get 0) (local.get 1))))
