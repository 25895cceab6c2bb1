;; Reads standard input to its end, then counts the primes below four million, three times, and prints how many.
;; `sieve.c` does the same.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 63)
  ;; A buffer of 4 KiB, and the end of what is printed.
  (data (i32.const 8) "\00\10\00\00\00\10\00\00")
  (data (i32.const 64) "\n")
  (global $limit i32 (i32.const 4000000))
  (global $sieve i32 (i32.const 65536))

  (func $drain
    (loop $more
      (br_if 1 (call $read (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 16)))
      (br_if $more (i32.load (i32.const 16)))))

  (func $count (result i32)
    (local $n i32) (local $multiple i32) (local $primes i32)
    (memory.fill (global.get $sieve) (i32.const 0) (global.get $limit))
    (local.set $n (i32.const 2))
    (loop $numbers
      (if (i32.eqz (i32.load8_u (i32.add (global.get $sieve) (local.get $n))))
        (then
          (local.set $primes (i32.add (local.get $primes) (i32.const 1)))
          (local.set $multiple (i32.shl (local.get $n) (i32.const 1)))
          (block $crossed
            (loop $multiples
              (br_if $crossed (i32.ge_u (local.get $multiple) (global.get $limit)))
              (i32.store8 (i32.add (global.get $sieve) (local.get $multiple)) (i32.const 1))
              (local.set $multiple (i32.add (local.get $multiple) (local.get $n)))
              (br $multiples)))))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $numbers (i32.lt_u (local.get $n) (global.get $limit))))
    (local.get $primes))

  (func $print (param $number i32)
    (local $at i32)
    (local.set $at (i32.const 64))
    (loop $digits
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10))))
      (br_if $digits (local.tee $number (i32.div_u (local.get $number) (i32.const 10)))))
    (i32.store (i32.const 8) (local.get $at))
    (i32.store (i32.const 12) (i32.sub (i32.const 65) (local.get $at)))
    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16))))

  (func (export "_start")
    (call $drain)
    (drop (call $count))
    (drop (call $count))
    (call $print (call $count))))
