;; checked
(module
  (memory 1)
  (func (result i32)
    (i32.store (i32.const 65528) (i32.const 7))
    (i32.load offset=4 (i32.const 65528)))
  (func (result i32)
    (i32.load offset=8 (i32.const 65528))))
