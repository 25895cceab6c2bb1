;; Looks for a directory and for variables that nobody granted it, and fails if it finds any.
(module
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $directory (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $variables (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    ;; 8: no such descriptor.
    (if (i32.ne (call $directory (i32.const 3) (i32.const 0)) (i32.const 8)) (then unreachable))
    (if (call $variables (i32.const 0) (i32.const 4)) (then unreachable))
    (if (i32.load (i32.const 0)) (then unreachable))))
