;; The host calls the program back to give it a string: its `realloc`. From there it calls the host again, and so on.
;;
;; tries: to nest calls between host and program without end, and to hand out the host a place outside of its memory
;; must: the second call traps; so does the place; the stack of the host is not used up
;; exit: 1
;; case: the host is called from where it calls
;; stderr~: cannot leave component instance
;; case: a place outside of the memory
;; setup: sed 's/(call $again)/(return (i32.const 0xfffffff0))/' $PROGRAM > other.wat
;; instead: other.wat
;; stderr~: realloc return: beyond end of memory
;; case: a place that is not aligned
;; setup: sed 's/(call $again)/(return (i32.const 4097))/' $PROGRAM > other.wat
;; instead: other.wat
;; stderr~: aligned
(component
  (import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-arguments" (func (result (list string))))))
  (core module $memory
    (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (core module $bridge
    (table (export "table") 1 funcref)
    (type $look (func (param i32)))
    (func (export "look") (param i32) (call_indirect (type $look) (local.get 0) (i32.const 0))))
  (core instance $bridge (instantiate $bridge))
  (core module $main
    (import "bridge" "look" (func $get (param i32)))
    (func $look (result i32) (call $get (i32.const 16)) (i32.const 64))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (call $again)
      (i32.const 4096))
    (func $again (drop (call $look)))
    (func (export "run") (result i32) (drop (call $look)) (i32.const 0)))
  (core instance $main (instantiate $main (with "bridge" (instance $bridge))))
  (core func $lowered (canon lower (func $environment "get-arguments")
    (memory (core memory $memory "memory")) (realloc (core func $main "realloc"))))
  (core module $join
    (import "bridge" "table" (table 1 funcref))
    (import "host" "look" (func $f (param i32)))
    (elem (i32.const 0) $f))
  (core instance (instantiate $join
    (with "bridge" (instance $bridge))
    (with "host" (instance (export "look" (func $lowered))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (component $shell
    (import "run" (func $run (result (result))))
    (export "run" (func $run)))
  (instance $cli (instantiate $shell (with "run" (func $run))))
  (export "wasi:cli/run@0.2.0" (instance $cli)))
