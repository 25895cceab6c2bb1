;; tries: to run out of stack: by calls, through a table, from the start section, with many locals
;; must: the program ends at its stack limit; the process does not
;; exit: 1
;; stderr~: reached its stack limit of 1 MiB
;; case: a function calls itself
;; case: through a table
;; setup: printf '%s\n' '(module (table 1 funcref) (elem (i32.const 0) $f) (func $f (export "_start") (call_indirect (i32.const 0))))' > other.wat
;; instead: other.wat
;; case: in the start section
;; setup: printf '%s\n' '(module (func $f (call $f)) (start $f) (func (export "_start")))' > other.wat
;; instead: other.wat
;; case: each call takes as much stack as it can
;; setup: (echo '(module (func $f (export "_start") (local'; for i in $(seq 4000); do echo i64; done; echo ')'; for i in $(seq 0 3999); do echo "(local.set $i (i64.extend_i32_u (memory.size)))"; done; echo '(call $f)'; for i in $(seq 0 3999); do echo "(memory.size) (i64.store (local.get $i))"; done; echo ') (memory 1))') > other.wat
;; instead: other.wat
(module
  (func $down (export "_start") (call $down)))
