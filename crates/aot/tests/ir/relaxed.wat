;; guarded relaxed
(module
  (memory 1 4)
  (func (param i32) (result i32) (i32.load offset=16 (local.get 0)))
  (func (param i32 i32) (i32.store8 (local.get 0) (local.get 1))))
