;; tries: to take all memory of the machine: by growing one, by many, by tables, by the maximum of both, by garbage
;; must: the program ends at its limit, in its own name
;; sampan: --memory 64M
;; exit: 1
;; case: one memory grows
;; args: x
;; stderr~: reached its memory limit of 64 MiB
;; case: a memory that is too large at the start
;; setup: printf '%s\n' '(module (memory 65536) (func (export "_start")))' > other.wat
;; instead: other.wat
;; stderr~: reached its memory limit of 64 MiB
;; case: many memories
;; setup: (echo '(module'; for i in 1 2 3 4 5 6 7 8 9; do echo '(memory 128)'; done; echo '(func (export "_start")))') > other.wat
;; instead: other.wat
;; stderr~: reached its memory limit of 64 MiB
;; case: a table of ten million, in native code
;; setup: printf '%s\n' '(module (table 10000000 funcref) (func (export "_start")))' > other.wat
;; instead: other.wat
;; stderr~: cannot make an instance of native code: Resources
;; profile: native checked trusted
;; why: here it is no instance at all, and no limit is named
;; case: a table of ten million
;; profile: dense portable sealed
;; why: native code tells it otherwise
;; setup: printf '%s\n' '(module (table 10000000 funcref) (func (export "_start")))' > other.wat
;; instead: other.wat
;; stderr~: reached its memory limit of 64 MiB
;; case: a table that grows
;; setup: printf '%s\n' '(module (table 0 externref) (func (export "_start") (loop (br_if 0 (i32.ne (table.grow (ref.null extern) (i32.const 100000)) (i32.const -1)))) unreachable))' > other.wat
;; instead: other.wat
;; stderr~: reached its memory limit of 64 MiB
;; profile: dense portable sealed
;; why: native code is told -1 and goes on, as when a table is at its own maximum
;; case: a table that grows, in native code
;; setup: printf '%s\n' '(module (table 0 externref) (func (export "_start") (loop (br_if 0 (i32.ne (table.grow (ref.null extern) (i32.const 100000)) (i32.const -1)))) unreachable))' > other.wat
;; instead: other.wat
;; stderr~: `unreachable` instruction executed
;; profile: native checked trusted
;; why: here growth is -1 and the program goes on
;; case: a heap of garbage that is kept
;; setup: printf '%s\n' '(module (type $n (struct (field (ref null $n)) (field i64))) (global $g (mut (ref null $n)) (ref.null $n)) (func (export "_start") (loop (global.set $g (struct.new $n (global.get $g) (i64.const 1))) (br 0))))' > other.wat
;; instead: other.wat
;; stderr~: reached its
;; profile: dense portable sealed
;; why: native code has no garbage collection
(module
  (memory (export "memory") 1)
  (func (export "_start") (loop (drop (memory.grow (i32.const 16))) (br 0))))
