;; Signals, processes, ptrace and raw sockets: WebAssembly has no instruction for them, and WASI no call. What is left is to
;; ask for them by name, as other hosts give them.
;;
;; tries: to be given system calls, processes, threads, signals, raw sockets or the host's memory by importing them
;; must: the program is refused before its first instruction, and what it wanted is named
;; exit: 2
;; stderr~: the program imports what is not provided here
;; case: any system call
;; stderr~: unknown import: `env::syscall`
;; case: a process, from WASIX
;; setup: sed 's/"env" "syscall"/"wasix_32v1" "proc_fork"/' $PROGRAM > wanted.wat
;; instead: wanted.wat
;; stderr~: unknown import: `wasix_32v1::proc_fork`
;; case: a signal to another process, from WASIX
;; setup: sed 's/"env" "syscall"/"wasix_32v1" "proc_signal"/' $PROGRAM > wanted.wat
;; instead: wanted.wat
;; stderr~: unknown import: `wasix_32v1::proc_signal`
;; case: a raw socket, from WasmEdge
;; setup: sed 's/"env" "syscall"/"wasi_snapshot_preview1" "sock_open"/' $PROGRAM > wanted.wat
;; instead: wanted.wat
;; stderr~: unknown import: `wasi_snapshot_preview1::sock_open`
;; case: a thread
;; setup: sed 's/"env" "syscall"/"wasi" "thread-spawn"/' $PROGRAM > wanted.wat
;; instead: wanted.wat
;; stderr~: unknown import: `wasi::thread-spawn`
;; case: the kernel's ptrace
;; setup: sed 's/"env" "syscall"/"env" "ptrace"/' $PROGRAM > wanted.wat
;; instead: wanted.wat
;; stderr~: unknown import: `env::ptrace`
;; case: the runtime's own builtins
;; setup: sed 's/"env" "syscall"/"rt" "memory_grow"/' $PROGRAM > wanted.wat
;; instead: wanted.wat
;; stderr~: unknown import: `rt::memory_grow`
;; case: sampan's own functions, which only its linker joins to native code
;; setup: sed 's/"env" "syscall"/"sampan" "native"/' $PROGRAM > wanted.wat
;; instead: wanted.wat
;; stderr~: unknown import: `sampan::native`
(module
  (import "env" "syscall" (func))
  (func (export "_start")))
