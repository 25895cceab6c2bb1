;; Answers one request as a CGI program does (RFC 3875): the response goes to standard output.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param $fd i32) (param $pieces i32) (param $count i32) (param $written i32) (result i32)))

  (memory (export "memory") 1)

  ;; One piece to write: where it is, and how many bytes it has.
  (data (i32.const 0) "\10\00\00\00\30\00\00\00")
  (data (i32.const 16) "Content-Type: text/plain; charset=utf-8\n\nHello!\n")

  (func (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
