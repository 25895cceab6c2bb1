;; Whoever can write to the directory of compiled code would run as its user, in every program: native code is not checked
;; again. The program prints `right`; another, of which the attacker has the code, prints `wrong`.
;;
;; tries: to have its own machine code run in another program's place, or to bring the host down, by files in the code cache
;; must: what is changed, cut, swapped, sealed by another key or in a directory that others can write to is compiled anew
;; env: XDG_CACHE_HOME=$DIR/cache
;; env: XDG_DATA_HOME=$DIR/home
;; setup: sed s/right/wrong/ $PROGRAM > wrong.wat; case "$FLAGS" in *trusted*) sampan trust add $PROGRAM; sampan trust add wrong.wat;; esac
;; setup: XDG_CACHE_HOME=$PWD/other sampan run $FLAGS wrong.wat > said; grep wrong said
;; setup: sampan run $FLAGS $PROGRAM > said; grep right said; test $(ls cache/sampan/code | wc -l) = 1
;; exit: 0
;; stdout: right
;; case: nothing is changed
;; case: a bit here and there is changed
;; setup: for at in 0 64 4096 5000 8192 10000; do printf '\377' | dd of=$(echo cache/sampan/code/*) bs=1 seek=$at conv=notrunc; done
;; case: the end is cut
;; setup: truncate -s -1 cache/sampan/code/*
;; case: it is empty
;; setup: : > $(echo cache/sampan/code/*)
;; case: it is a gigabyte of nothing
;; setup: truncate -s 1G cache/sampan/code/*
;; case: it is another program's
;; setup: cp other/sampan/code/* $(echo cache/sampan/code/*)
;; case: it is a link to another program's
;; setup: ln -sf $PWD/$(echo other/sampan/code/*) $(echo cache/sampan/code/*)
;; case: the directory is a link to one where it is another program's
;; setup: cp other/sampan/code/* other/sampan/code/$(ls cache/sampan/code); rm -r cache/sampan/code; ln -s $PWD/other/sampan/code cache/sampan/code
;; case: another user has sealed it
;; setup: export XDG_DATA_HOME=$PWD/foe XDG_CACHE_HOME=$PWD/foe; case "$FLAGS" in *trusted*) sampan trust add wrong.wat;; esac; sampan run $FLAGS wrong.wat; cp foe/sampan/code/* $(echo cache/sampan/code/*)
;; case: it is a directory
;; setup: name=$(echo cache/sampan/code/*); rm $name; mkdir $name
;; case: it is a pipe that nobody writes to
;; setup: name=$(echo cache/sampan/code/*); rm $name; mkfifo $name
;; case: it is a device without end
;; setup: ln -sf /dev/zero $(echo cache/sampan/code/*)
;; case: others can write to the directory
;; setup: cp other/sampan/code/* $(echo cache/sampan/code/*); chmod 777 cache/sampan/code
;; case: it belongs to another user
;; setup: cp other/sampan/code/* $(echo cache/sampan/code/*); chmod 666 cache/sampan/code/*; if test $(id -u) = 0; then chown 65534 cache/sampan/code/*; fi
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\06\00\00\00right\n")
  (func (export "_start")
    (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)) (then unreachable))))
