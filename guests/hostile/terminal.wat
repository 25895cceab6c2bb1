;; What a program is called and what it exports is shown to its user when it fails: on a terminal, which obeys control
;; characters, and in logs, of which each line is believed.
;;
;; tries: to clear the user's screen, rename the window and forge lines of `sampan` by control characters in its names
;; must: the names are shown with each control character replaced, on one line
;; exit: 1
;; setup: sampan inspect $PROGRAM > seen
;; setup: ! grep -q "$(printf '\033\\|\007\\|\r\\|^error')" seen && grep -q forged seen
;; case: a function that traps
;; stderr~: �[2J�]0;owned�f��error: forged
;; profile: dense portable sealed
;; why: LLVM may put a function into its caller
;; case: a function that is missing
;; sampan: --invoke nothing
;; exit: 2
;; stderr~: it exports `_start`, `�[2J�error: forged`
;; case: an import that nobody provides
;; setup: printf '%s\n' '(module (import "env\1b[2J" "f\0aerror: forged" (func)) (func (export "_start")))' > import.wat
;; instead: import.wat
;; exit: 2
;; stderr~: unknown import: `env�[2J::f�error: forged`
(module
  (func $f (@name "\1b[2J\1b]0;owned\07f\0d\0aerror: forged") unreachable)
  (func (export "_start") call $f)
  (func (export "\1b[2J\0aerror: forged")))
