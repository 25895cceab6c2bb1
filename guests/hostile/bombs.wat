;; Programs of few bytes that promise much work, and what no parser should believe. Many more are in
;; crates/engine/tests/bombs.rs, with the memory that each takes.
;;
;; tries: to bring the parser, the validator or the compiler down, or to cost it far more than its bytes
;; must: it is refused with a reason, or it runs
;; sampan: --timeout 60s
;; exit: 2
;; case: it is compressed: nothing is decompressed
;; setup: head -c 100000000 /dev/zero | gzip -c > other.wasm
;; instead: other.wasm
;; stderr~: a gzip archive; unpack it first
;; case: components in components
;; setup: (printf '(component %.0s' $(seq 100000); printf ')%.0s' $(seq 100000)) > other.wat
;; instead: other.wat
;; stderr~: nesting too deep
;; case: blocks in blocks
;; setup: (printf '(module (func (export "_start")'; printf '(block %.0s' $(seq 20000); printf ')%.0s' $(seq 20000); echo '))') > other.wat
;; instead: other.wat
;; exit: 0
;; case: comments in comments
;; setup: (echo '(module (func (export "_start")))'; printf '(;%.0s' $(seq 300000); printf ';)%.0s' $(seq 300000)) > other.wat
;; instead: other.wat
;; exit: 0
;; case: a function of too many locals
;; setup: (echo '(module (func (export "_start") (local'; seq 60000 | sed 's/.*/i64/'; echo ')))') > other.wat
;; instead: other.wat
;; stderr~: too many locals
;; case: a million types
;; setup: (echo '(module'; seq 1000001 | sed 's/.*/(type (func))/'; echo '(func (export "_start")))') > other.wat
;; instead: other.wat
;; stderr~: types count exceeds limit
;; case: a branch to a million places
;; setup: (echo '(module (func (export "_start") (br_table'; seq 1000000 | sed 's/.*/0/'; echo '(i32.const 0))))') > other.wat
;; instead: other.wat
;; stderr~: br_table
;; profile: dense portable sealed
;; why: LLVM takes it
;; case: a thousand results, which each call copies
;; setup: (echo '(module (type $t (func (result'; seq 1001 | sed 's/.*/i64/'; echo '))) (func (export "_start")))') > other.wat
;; instead: other.wat
;; stderr~: function returns size is out of bounds
;; case: an export of a name of a megabyte
;; setup: (printf '(module (func (export "_start")) (func (export "'; head -c 1000000 /dev/zero | tr '\0' x; echo '")))') > other.wat
;; instead: other.wat
;; stderr~: string size
;; case: fifty thousand exports
;; setup: (echo '(module'; seq -f '(func (export "f%.0f"))' 50000; echo '(func (export "_start")))') > other.wat
;; instead: other.wat
;; exit: 0
;; profile: dense portable sealed
;; why: LLVM needs half a minute of a processor for them
;; case: a section that is longer than the file
;; setup: printf '\0asm\1\0\0\0\1\377\377\377\377\017' > other.wasm
;; instead: other.wasm
;; stderr~: cause:
;; case: a number that does not end
;; setup: printf '\0asm\1\0\0\0\1\200\200\200\200\200\200\200\200\200\200\200\0' > other.wasm
;; instead: other.wasm
;; stderr~: cause:
;; case: four billion functions, declared in five bytes
;; setup: printf '\0asm\1\0\0\0\3\5\377\377\377\377\017' > other.wasm
;; instead: other.wasm
;; stderr~: cause:
;; case: a name that is no text
;; setup: printf '\0asm\1\0\0\0\0\5\4\377\376\300\200' > other.wasm
;; instead: other.wasm
;; stderr~: cause:
;; case: code that was compiled elsewhere, as a program
;; setup: printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0\076\0' > other.wasm
;; instead: other.wasm
;; stderr~: error: `other.wasm`
;; case: a file without end
;; instead: /dev/zero
;; stderr~: more than 1073741824 bytes
;; profile: dense portable sealed native checked
;; why: it cannot be trusted either
(module)
