;; tries: to take a processor for ever: in a loop, before it begins, in operations on all its memory, in calls of the host
;; must: the program ends at its time limit
;; sampan: --timeout 300ms
;; exit: 1
;; stderr~: reached its time limit of 300ms
;; case: a loop
;; case: in the start section
;; setup: printf '%s\n' '(module (func $f (loop (br 0))) (start $f) (func (export "_start")))' > other.wat
;; instead: other.wat
;; case: fills and copies a gigabyte over and over
;; sampan: --memory 2G
;; setup: printf '%s\n' '(module (memory 16384) (func (export "_start") (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x3fffffff)) (memory.copy (i32.const 1) (i32.const 0) (i32.const 0x3ffffffe)) (br 0))))' > other.wat
;; instead: other.wat
;; case: fills a table over and over
;; setup: printf '%s\n' '(module (table 8000000 funcref) (func (export "_start") (loop (table.fill (i32.const 0) (ref.null func) (i32.const 8000000)) (table.copy (i32.const 1) (i32.const 0) (i32.const 7999999)) (br 0))))' > other.wat
;; instead: other.wat
;; case: asks the clock over and over
;; setup: printf '%s\n' '(module (import "wasi_snapshot_preview1" "clock_time_get" (func $f (param i32 i64 i32) (result i32))) (memory (export "memory") 1) (func (export "_start") (loop (drop (call $f (i32.const 1) (i64.const 0) (i32.const 0))) (br 0))))' > other.wat
;; instead: other.wat
;; case: asks for random bytes over and over
;; setup: printf '%s\n' '(module (import "wasi_snapshot_preview1" "random_get" (func $f (param i32 i32) (result i32))) (memory (export "memory") 16) (func (export "_start") (loop (drop (call $f (i32.const 0) (i32.const 0xfffff))) (br 0))))' > other.wat
;; instead: other.wat
;; case: sleeps for a century
;; setup: printf '%s\n' '(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $f (param i32 i32 i32 i32) (result i32))) (memory (export "memory") 1) (data (i32.const 16) "\01") (func (export "_start") (i64.store (i32.const 24) (i64.const 3155760000000000000)) (drop (call $f (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))' > other.wat
;; instead: other.wat
(module
  (func $spin (export "_start") (loop (br 0))))
