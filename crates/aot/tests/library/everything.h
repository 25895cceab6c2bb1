/* `everything`: a WebAssembly program as a library, made by `sampan build`. Do not edit.

   The program reaches its own memory and the functions that it is given, and nothing else. What it does wrong
   ends its call with a trap, which is returned; the instance can be called again, or freed.

   An instance belongs to one thread at a time. Several instances know nothing of each other. */
#ifndef SAMPAN_LIBRARY_0123456789ABCDEF
#define SAMPAN_LIBRARY_0123456789ABCDEF

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef SAMPAN_TRAPS
#define SAMPAN_TRAPS
/* Why a call did not return, or why there is no instance. */
typedef enum sampan_trap {
    SAMPAN_OK = 0,
    SAMPAN_TRAP_UNREACHABLE = 1, /* unreachable */
    SAMPAN_TRAP_MEMORY_OUT_OF_BOUNDS = 2, /* out of bounds memory access */
    SAMPAN_TRAP_TABLE_OUT_OF_BOUNDS = 3, /* out of bounds table access */
    SAMPAN_TRAP_UNDEFINED_ELEMENT = 4, /* undefined element */
    SAMPAN_TRAP_UNINITIALIZED_ELEMENT = 5, /* uninitialized element */
    SAMPAN_TRAP_INDIRECT_CALL_TYPE = 6, /* indirect call type mismatch */
    SAMPAN_TRAP_DIVIDE_BY_ZERO = 7, /* integer divide by zero */
    SAMPAN_TRAP_INTEGER_OVERFLOW = 8, /* integer overflow */
    SAMPAN_TRAP_INVALID_CONVERSION = 9, /* invalid conversion to integer */
    SAMPAN_TRAP_STACK_OVERFLOW = 10, /* call stack exhausted */
    SAMPAN_TRAP_INTERRUPTED = 11, /* interrupted */
    SAMPAN_TRAP_HOST = 12, /* a host function failed */
    SAMPAN_ERROR_IMPORT = 64, /* an import is missing */
    SAMPAN_ERROR_RESOURCES = 65, /* there is less memory than the program begins with */
    SAMPAN_ERROR_VERSION = 66, /* the library is not whole */
} sampan_trap;

static inline const char *sampan_trap_message(sampan_trap trap) {
    switch (trap) {
    case SAMPAN_OK: return "no trap";
    case SAMPAN_TRAP_UNREACHABLE: return "unreachable";
    case SAMPAN_TRAP_MEMORY_OUT_OF_BOUNDS: return "out of bounds memory access";
    case SAMPAN_TRAP_TABLE_OUT_OF_BOUNDS: return "out of bounds table access";
    case SAMPAN_TRAP_UNDEFINED_ELEMENT: return "undefined element";
    case SAMPAN_TRAP_UNINITIALIZED_ELEMENT: return "uninitialized element";
    case SAMPAN_TRAP_INDIRECT_CALL_TYPE: return "indirect call type mismatch";
    case SAMPAN_TRAP_DIVIDE_BY_ZERO: return "integer divide by zero";
    case SAMPAN_TRAP_INTEGER_OVERFLOW: return "integer overflow";
    case SAMPAN_TRAP_INVALID_CONVERSION: return "invalid conversion to integer";
    case SAMPAN_TRAP_STACK_OVERFLOW: return "call stack exhausted";
    case SAMPAN_TRAP_INTERRUPTED: return "interrupted";
    case SAMPAN_TRAP_HOST: return "a host function failed";
    case SAMPAN_ERROR_IMPORT: return "an import is missing";
    case SAMPAN_ERROR_RESOURCES: return "there is less memory than the program begins with";
    case SAMPAN_ERROR_VERSION: return "the library is not whole";
    }
    return "unknown trap";
}

/* What an instance may use up. 0 stands for what is usual: memories of 4 GiB together, tables of 1048576 elements,
   256 KiB of the calling thread's stack (8 KiB on machines without an operating system). */
typedef struct sampan_limits {
    size_t memory_bytes_max;
    size_t table_elements_max;
    size_t stack_bytes_max;
} sampan_limits;
#endif

/* One running copy of the program. */
typedef struct everything_instance everything_instance;

/* What the program is given. A function returns SAMPAN_OK once it has set its result, or a trap, which ends the
   call of the program. It may call the instance. It must not leave by `longjmp` or an exception, or free the
   instance. What comes from the program is not to be trusted: neither numbers nor what is in its memory. */
typedef struct everything_imports {
    /* Passed to each function. */
    void *context;
    /* env.log */
    sampan_trap (*env_log)(void *context, everything_instance *instance, int32_t p0, double p1, int32_t *result);
    /* wasi_snapshot_preview1.fd_write. If null: it is refused */
    sampan_trap (*wasi_snapshot_preview1_fd_write)(void *context, everything_instance *instance, int32_t p0, int32_t p1, int32_t p2, int32_t p3, int32_t *result);
    /* wasi_snapshot_preview1.random_get. If null: it is refused */
    sampan_trap (*wasi_snapshot_preview1_random_get)(void *context, everything_instance *instance, int32_t p0, int32_t p1, int32_t *result);
    /* wasi_snapshot_preview1.args_sizes_get. If null: there are none */
    sampan_trap (*wasi_snapshot_preview1_args_sizes_get)(void *context, everything_instance *instance, int32_t p0, int32_t p1, int32_t *result);
    /* wasi_snapshot_preview1.proc_exit. If null: a trap */
    sampan_trap (*wasi_snapshot_preview1_proc_exit)(void *context, everything_instance *instance, int32_t p0);
} everything_imports;

/* The name of the first import that is missing, or null if none is. */
const char *everything_missing_import(const everything_imports *imports);

/* Makes an instance, and lets the program initialize itself. Limits that are null are the usual ones.
   The imports are copied.
   The first call in a process installs handlers of SIGSEGV, SIGBUS and SIGURG, which pass on what is not theirs
   to whoever handled it before; whoever installs others later must do the same.
   On failure the instance is null. */
sampan_trap everything_instance_new(const everything_imports *imports, const sampan_limits *limits, everything_instance **instance);

/* Gives all of it back. An instance whose code still runs is left as it is. */
void everything_instance_free(everything_instance *instance);

/* From any thread: ends the call that runs with SAMPAN_TRAP_INTERRUPTED, and all later ones until it is resumed.
   True if one still runs: a function that the program was given cannot be ended, so ask again. */
bool everything_instance_interrupt(everything_instance *instance);
void everything_instance_resume(everything_instance *instance);

/* The memory "memory": where it begins, which never changes; how many bytes it has, which can grow
   whenever the program runs; and copies from and to it, which are false if it does not have all of the bytes. */
uint8_t *everything_memory(everything_instance *instance);
size_t everything_memory_size(everything_instance *instance);
bool everything_memory_read(everything_instance *instance, uint32_t at, void *to, size_t bytes);
bool everything_memory_write(everything_instance *instance, uint32_t at, const void *from, size_t bytes);

/* The global "counter" */
int32_t everything_counter(everything_instance *instance);
void everything_counter_set(everything_instance *instance, int32_t value);

/* The global "pi" */
double everything_pi(everything_instance *instance);

/* The functions. Where a result goes may be null; it is not set when the call traps. */

/* add */
sampan_trap everything_add(everything_instance *instance, int32_t p0, int32_t p1, int32_t *result);

/* pair */
sampan_trap everything_pair(everything_instance *instance, float p0, int64_t *result, float *result2);

/* double */
sampan_trap everything_double(everything_instance *instance, double p0, double *result);

/* say */
sampan_trap everything_say(everything_instance *instance, int32_t p0, int32_t *result);

/* denied */
sampan_trap everything_denied(everything_instance *instance, int32_t *result, int32_t *result2, int32_t *result3);

/* sizes_at */
sampan_trap everything_sizes_at(everything_instance *instance, int32_t p0, int32_t *result);

/* exit */
sampan_trap everything_exit(everything_instance *instance);

/* grow */
sampan_trap everything_grow(everything_instance *instance, int32_t p0, int32_t *result);

/* free */
sampan_trap everything_free(everything_instance *instance, int32_t p0, int32_t *result);

/* stop */
sampan_trap everything_stop(everything_instance *instance);

/* peek */
sampan_trap everything_peek(everything_instance *instance, int32_t p0, int32_t *result);

/* fill */
sampan_trap everything_fill(everything_instance *instance, int32_t p0);

/* through */
sampan_trap everything_through(everything_instance *instance, int32_t p0);

/* divide */
sampan_trap everything_divide(everything_instance *instance, int32_t p0, int32_t p1, int32_t *result);

/* truncate */
sampan_trap everything_truncate(everything_instance *instance, double p0, int32_t *result);

/* down */
sampan_trap everything_down(everything_instance *instance, int32_t p0, int32_t *result);

/* clear */
sampan_trap everything_clear(everything_instance *instance, int32_t p0);

/* forever */
sampan_trap everything_forever(everything_instance *instance);

/* Not for C: the global "wide" is a vector or a reference */

/* Not for C: the function "wide_add" has a vector or a reference */

#ifdef __cplusplus
}
#endif

#endif /* SAMPAN_LIBRARY_0123456789ABCDEF */
