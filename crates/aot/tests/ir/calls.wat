;; guarded precise
(module
  (type $pair (func (param i32) (result i32 i64)))
  (import "host" "pair" (func $pair (type $pair)))
  (table 2 2 funcref)
  (func $direct (param i32) (result i32) (drop (call $pair (local.get 0))))
  (func (param i32) (result i32) (call $direct (local.get 0)))
  (func (param i32) (result i32 i64) (return_call_indirect (type $pair) (local.get 0) (i32.const 1))))
