;; checked precise
(module
  (memory 1)
  (func (param i32) (result i32)
    (i32.add (i32.load offset=8 (local.get 0)) (i32.load (local.get 0)))
    (local.set 0 (i32.load offset=4 (local.get 0)))
    (i32.add (i32.load (local.get 0)))))
