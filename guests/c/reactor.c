// cflags: -mexec-model=reactor
// A library: `_initialize` runs first, then the one function that is called.
//
// source: WASI application ABI, reactors; WebAssembly core specification for numbers
// case: two numbers
// sampan: --invoke add
// args: 2 40
// exit: 0
// stdout: 42
// case: written as a call
// sampan: --invoke "add(2, -40)"
// exit: 0
// stdout: -38
// case: the constructors ran before
// sampan: --invoke constructed
// exit: 0
// stdout: 1
// case: unsigned and hexadecimal
// sampan: --invoke add
// args: 4294967295 0x10
// exit: 0
// stdout: 15
// case: 64 bits
// sampan: --invoke twice
// args: -4611686018427387904
// exit: 0
// stdout: -9223372036854775808
// case: floating point
// sampan: --invoke half
// args: -0.5
// exit: 0
// stdout: -0.25
// case: a function may print and return nothing
// sampan: --invoke greet
// exit: 0
// stdout: greetings
// case: a function may end the program
// sampan: --invoke leave
// args: 7
// exit: 7
// case: too few arguments
// sampan: --invoke add
// args: 2
// exit: 2
// stderr~: error: cannot call `add`: it takes 2 arguments, not 1
// stderr~: hint: it is called as `add(i32, i32) -> (i32)`
// case: too many arguments
// sampan: --invoke "add(1, 2, 3)"
// exit: 2
// stderr~: error: cannot call `add`: it takes 2 arguments, not 3
// stderr~: hint: it is called as `add(i32, i32) -> (i32)`
// case: no number
// sampan: --invoke add
// args: 2 two
// exit: 2
// stderr~: error: cannot call `add`: `two` is no value of type i32
// stderr~: hint: it is called as `add(i32, i32) -> (i32)`
// case: a number that does not fit
// sampan: --invoke add
// args: 2 4294967296
// exit: 2
// stderr~: `4294967296` is no value of type i32
// stderr~: hint:
// case: no such function
// sampan: --invoke subtract
// exit: 2
// stderr~: error: the program exports no function `subtract`
// stderr~: hint: it exports
// stderr~: `add`
// case: a trap names the function
// sampan: --invoke divide
// args: 1 0
// exit: 1
// stderr~: reactor.wasm` trapped
// stderr~: cause: integer divide by zero
// stderr~: at divide
// case: it is no command
// exit: 2
// stderr~: reactor.wasm`
// stderr~: hint: `--invoke NAME` calls one function; it exports
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPORT(name) __attribute__((export_name(name)))

static int constructions;

__attribute__((constructor)) static void construct(void) {
    constructions++;
}

EXPORT("constructed") int constructed(void) {
    return constructions;
}

EXPORT("add") int add(int a, int b) {
    return (int)((unsigned)a + (unsigned)b);
}

EXPORT("twice") int64_t twice(int64_t a) {
    return a * 2;
}

EXPORT("half") double half(double a) {
    return a / 2;
}

EXPORT("divide") int divide(int a, int b) {
    return a / b;
}

EXPORT("greet") void greet(void) {
    puts("greetings");
    fflush(stdout);
}

EXPORT("leave") void leave(int code) {
    exit(code);
}
