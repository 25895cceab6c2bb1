;; A component whose functions return what they are given: each kind of value, there and back, as text.
;;
;; source: the WebAssembly Value Encoding (WAVE); component model, canonical ABI
;; exit: 0
;; case: numbers
;; sampan: --invoke add
;; args: 2 -44
;; stdout: -42
;; case: written as a call
;; sampan: --invoke "add(2, 40)"
;; stdout: 42
;; case: by the name of its interface
;; sampan: --invoke "demo:calc/ops@1.0.0.add"
;; args: 2 40
;; stdout: 42
;; case: by the name of its interface, with a number sign
;; sampan: --invoke "demo:calc/ops@1.0.0#add"
;; args: 2 40
;; stdout: 42
;; case: a string needs no quotes of its own
;; sampan: --invoke text
;; args: "two words, grüße"
;; stdout: "two words, grüße"
;; case: nor does an empty one
;; sampan: --invoke text
;; args: ""
;; stdout: ""
;; case: a list
;; sampan: --invoke numbers
;; args: "[1, 2, 4294967295]"
;; stdout: [1, 2, 4294967295]
;; case: an empty list
;; sampan: --invoke numbers
;; args: []
;; stdout: []
;; case: a record
;; sampan: --invoke place
;; args: "{x: 1, y: -2}"
;; stdout: {x: 1, y: -2}
;; case: an option
;; sampan: --invoke maybe
;; args: some(7)
;; stdout: some(7)
;; case: an option of nothing
;; sampan: --invoke maybe
;; args: none
;; stdout: none
;; case: an option that is left out
;; sampan: --invoke maybe
;; stdout: none
;; case: a result
;; sampan: --invoke outcome
;; args: ok(5)
;; stdout: ok(5)
;; case: a result of failure is a value too
;; sampan: --invoke outcome
;; args: err(3)
;; stdout: err(3)
;; case: an enumeration
;; sampan: --invoke turn
;; args: right
;; stdout: right
;; case: a truth value
;; sampan: --invoke truth
;; args: true
;; stdout: true
;; case: a character
;; sampan: --invoke letter
;; args: 'ß'
;; stdout: 'ß'
;; case: too few arguments
;; sampan: --invoke place
;; exit: 2
;; stderr~: error: cannot call `place`: argument `p` is missing
;; stderr~: hint: it is called as `place(p: record { x: s32, y: s32 }) -> record { x: s32, y: s32 }`
;; case: too many arguments
;; sampan: --invoke text
;; args: a b
;; exit: 2
;; stderr~: error: cannot call `text`: it takes 1 argument, not 2
;; stderr~: hint: it is called as `text(t: string) -> string`
;; case: a wrong field
;; sampan: --invoke place
;; args: "{x: 1, z: 2}"
;; exit: 2
;; stderr~: is no value for `p`:
;; stderr~: hint: it is called as `place(p:
;; case: a number out of range
;; sampan: --invoke "add(1, 2147483648)"
;; exit: 2
;; stderr~: error: cannot call `add`:
;; stderr~: hint: it is called as `add(a: s32, b: s32) -> s32`
;; case: no such function
;; sampan: --invoke subtract
;; exit: 2
;; stderr~: error: the program exports no function `subtract`
;; stderr~: hint: it exports
;; case: it is no command
;; exit: 2
;; stderr~: invoke.wat`
;; stderr~: hint: `--invoke NAME` calls one function; it exports
(component
  (core module $core
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 64))
    ;; Every allocation is new, on a boundary of eight bytes.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.get $free)
      (global.set $free
        (i32.and (i32.add (i32.add (global.get $free) (local.get 3)) (i32.const 7)) (i32.const -8))))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "one") (param i32) (result i32) (local.get 0))
    ;; A string, a list, an option, a result and a record of two numbers all are two words in memory.
    (func (export "pair") (param i32 i32) (result i32)
      (i32.store (i32.const 16) (local.get 0))
      (i32.store (i32.const 20) (local.get 1))
      (i32.const 16)))
  (core instance $instance (instantiate $core))
  (alias core export $instance "memory" (core memory $memory))
  (alias core export $instance "realloc" (core func $realloc))
  (alias core export $instance "pair" (core func $pair))
  (alias core export $instance "one" (core func $one))

  (type $point-type (record (field "x" s32) (field "y" s32)))
  (export $point "point" (type $point-type))
  (type $side-type (enum "left" "right"))
  (export $side "side" (type $side-type))

  (func $add (param "a" s32) (param "b" s32) (result s32) (canon lift (core func $instance "add")))
  (instance $ops (export "add" (func $add)))
  (export "demo:calc/ops@1.0.0" (instance $ops))

  (func (export "text") (param "t" string) (result string)
    (canon lift (core func $pair) (memory $memory) (realloc $realloc)))
  (func (export "numbers") (param "n" (list u32)) (result (list u32))
    (canon lift (core func $pair) (memory $memory) (realloc $realloc)))
  (func (export "place") (param "p" $point) (result $point)
    (canon lift (core func $pair) (memory $memory) (realloc $realloc)))
  (func (export "maybe") (param "m" (option u32)) (result (option u32))
    (canon lift (core func $pair) (memory $memory) (realloc $realloc)))
  (func (export "outcome") (param "o" (result u32 (error u32))) (result (result u32 (error u32)))
    (canon lift (core func $pair) (memory $memory) (realloc $realloc)))
  (func (export "turn") (param "s" $side) (result $side) (canon lift (core func $one)))
  (func (export "truth") (param "t" bool) (result bool) (canon lift (core func $one)))
  (func (export "letter") (param "c" char) (result char) (canon lift (core func $one))))
