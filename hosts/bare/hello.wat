;; What the firmware runs: it says hello, calls itself, divides, and goes astray when it is asked to.
(module
  (import "host" "print" (func $print (param i32 i32)))
  (memory (export "memory") 1024 1024 (pagesize 1))
  (data (i32.const 16) "hello from WebAssembly\n")
  (func (export "hello")
    (call $print (i32.const 16) (i32.const 23)))
  (func $fibonacci (export "fibonacci") (param i64) (result i64)
    (if (result i64) (i64.lt_u (local.get 0) (i64.const 2))
      (then (local.get 0))
      (else
        (i64.add
          (call $fibonacci (i64.sub (local.get 0) (i64.const 1)))
          (call $fibonacci (i64.sub (local.get 0) (i64.const 2)))))))
  (func (export "half") (param f64) (result f64)
    (f64.min (f64.const 1000) (f64.div (local.get 0) (f64.const 2))))
  (func (export "divide") (param i64 i64) (result i64)
    (i64.div_s (local.get 0) (local.get 1)))
  (func (export "load") (param i32) (result i32)
    (i32.load (local.get 0)))
  (func $down (export "down") (param i32) (result i32)
    (i32.store (i32.const 0) (local.get 0))
    (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1))))))
