;; guarded precise
(module
  (type $unary (func (param i32) (result i32)))
  (table 3 3 funcref)
  (elem (i32.const 1) $double $none)
  (func $double (type $unary) (i32.add (local.get 0) (local.get 0)))
  (func $none)
  (func (param i32) (result i32) (call_indirect (type $unary) (i32.const 7) (local.get 0))))
