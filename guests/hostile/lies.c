// cflags: -mexec-model=reactor
// A caller that lies to the host in every call of WASI 0.1: pointers that are outside of its memory, wrap around it, overlap,
// or are not aligned; lengths and counts up to 2^32 - 1; numbers of descriptors that are none. Each call and each seed is
// one lie: `lie CALL SEED`. crates/sampan/tests/wasi/lies.rs calls them all, thousands of times.
//
// tries: to make the host read or write outside of the program's memory, or crash, by lies in every call of WASI 0.1
// must: an error number or a trap; what the program did not offer (its canaries) is as it was
// sampan: --dir $DIR:/data --invoke lie
// case: an honest call, as proof that the calls arrive
// args: 40 0
// exit: 0
// stdout: 0
// case: a buffer that wraps around the memory
// args: 40 3
// exit: 1
// stderr~: cause: pointer out of bounds
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint32_t i32;
typedef uint64_t i64;

// Every function: its name, what each argument is, and the arguments' types. f: a descriptor, p: a pointer to one value, v:
// to a list of buffers, c: how many, s: to a text or a buffer, l: its length, n: a small number, b: bits, N: a large number,
// q: to subscriptions.
#define CALLS(X)                                                                                              \
    X(args_get, "pp", (i32, i32), (A(0), A(1)))                                                               \
    X(args_sizes_get, "pp", (i32, i32), (A(0), A(1)))                                                         \
    X(environ_get, "pp", (i32, i32), (A(0), A(1)))                                                            \
    X(environ_sizes_get, "pp", (i32, i32), (A(0), A(1)))                                                      \
    X(clock_res_get, "np", (i32, i32), (A(0), A(1)))                                                          \
    X(clock_time_get, "nNp", (i32, i64, i32), (A(0), a[1], A(2)))                                             \
    X(fd_advise, "fNNn", (i32, i64, i64, i32), (A(0), a[1], a[2], A(3)))                                      \
    X(fd_allocate, "fNN", (i32, i64, i64), (A(0), a[1], a[2]))                                                \
    X(fd_close, "f", (i32), (A(0)))                                                                           \
    X(fd_datasync, "f", (i32), (A(0)))                                                                        \
    X(fd_fdstat_get, "fp", (i32, i32), (A(0), A(1)))                                                          \
    X(fd_fdstat_set_flags, "fb", (i32, i32), (A(0), A(1)))                                                    \
    X(fd_fdstat_set_rights, "fNN", (i32, i64, i64), (A(0), a[1], a[2]))                                       \
    X(fd_filestat_get, "fp", (i32, i32), (A(0), A(1)))                                                        \
    X(fd_filestat_set_size, "fN", (i32, i64), (A(0), a[1]))                                                   \
    X(fd_filestat_set_times, "fNNb", (i32, i64, i64, i32), (A(0), a[1], a[2], A(3)))                          \
    X(fd_pread, "fvcNp", (i32, i32, i32, i64, i32), (A(0), A(1), A(2), a[3], A(4)))                           \
    X(fd_prestat_get, "fp", (i32, i32), (A(0), A(1)))                                                         \
    X(fd_prestat_dir_name, "fsl", (i32, i32, i32), (A(0), A(1), A(2)))                                        \
    X(fd_pwrite, "fvcNp", (i32, i32, i32, i64, i32), (A(0), A(1), A(2), a[3], A(4)))                          \
    X(fd_read, "fvcp", (i32, i32, i32, i32), (A(0), A(1), A(2), A(3)))                                        \
    X(fd_readdir, "fslNp", (i32, i32, i32, i64, i32), (A(0), A(1), A(2), a[3], A(4)))                         \
    X(fd_renumber, "ff", (i32, i32), (A(0), A(1)))                                                            \
    X(fd_seek, "fNnp", (i32, i64, i32, i32), (A(0), a[1], A(2), A(3)))                                        \
    X(fd_sync, "f", (i32), (A(0)))                                                                            \
    X(fd_tell, "fp", (i32, i32), (A(0), A(1)))                                                                \
    X(fd_write, "fvcp", (i32, i32, i32, i32), (A(0), A(1), A(2), A(3)))                                       \
    X(path_create_directory, "fsl", (i32, i32, i32), (A(0), A(1), A(2)))                                      \
    X(path_filestat_get, "fbslp", (i32, i32, i32, i32, i32), (A(0), A(1), A(2), A(3), A(4)))                  \
    X(path_filestat_set_times, "fbslNNb", (i32, i32, i32, i32, i64, i64, i32),                                \
      (A(0), A(1), A(2), A(3), a[4], a[5], A(6)))                                                             \
    X(path_link, "fbslfsl", (i32, i32, i32, i32, i32, i32, i32),                                              \
      (A(0), A(1), A(2), A(3), A(4), A(5), A(6)))                                                             \
    X(path_open, "fbslbNNbp", (i32, i32, i32, i32, i32, i64, i64, i32, i32),                                  \
      (A(0), A(1), A(2), A(3), A(4), a[5], a[6], A(7), A(8)))                                                 \
    X(path_readlink, "fslslp", (i32, i32, i32, i32, i32, i32), (A(0), A(1), A(2), A(3), A(4), A(5)))          \
    X(path_remove_directory, "fsl", (i32, i32, i32), (A(0), A(1), A(2)))                                      \
    X(path_rename, "fslfsl", (i32, i32, i32, i32, i32, i32), (A(0), A(1), A(2), A(3), A(4), A(5)))            \
    X(path_symlink, "slfsl", (i32, i32, i32, i32, i32), (A(0), A(1), A(2), A(3), A(4)))                       \
    X(path_unlink_file, "fsl", (i32, i32, i32), (A(0), A(1), A(2)))                                           \
    X(poll_oneoff, "qpcp", (i32, i32, i32, i32), (A(0), A(1), A(2), A(3)))                                    \
    X(sched_yield, "", (void), ())                                                                            \
    X(proc_raise, "n", (i32), (A(0)))                                                                         \
    X(random_get, "sl", (i32, i32), (A(0), A(1)))                                                             \
    X(sock_accept, "fbp", (i32, i32, i32), (A(0), A(1), A(2)))                                                \
    X(sock_recv, "fvcbpp", (i32, i32, i32, i32, i32, i32), (A(0), A(1), A(2), A(3), A(4), A(5)))              \
    X(sock_send, "fvcbp", (i32, i32, i32, i32, i32), (A(0), A(1), A(2), A(3), A(4)))                          \
    X(sock_shutdown, "fb", (i32, i32), (A(0), A(1)))

#define A(index) ((i32)a[index])
#define IMPORT(name, kinds, types, arguments)                                                                 \
    __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name))) i32 lie_##name types;        \
    static i32 call_##name(const i64 *a) {                                                                    \
        (void)a;                                                                                              \
        return lie_##name arguments;                                                                          \
    }
CALLS(IMPORT)

// The one call that does not return.
__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit"))) void lie_proc_exit(i32);
static i32 call_proc_exit(const i64 *a) {
    lie_proc_exit(A(0));
    return 0;
}

static const struct {
    const char *kinds;
    i32 (*call)(const i64 *);
} calls[] = {
#define ENTRY(name, kinds, types, arguments) {kinds, call_##name},
    CALLS(ENTRY) //
    {"n", call_proc_exit},
};

enum { CALLS_COUNT = sizeof calls / sizeof *calls, ARGUMENTS_MAX = 9, PAGE = 65536 };

// Everything that the host may write to is in `offered`, and no honest write that begins before ROOM ends behind it.
enum { OFFERED = 65536, ROOM = OFFERED - 8192 };
static struct {
    uint8_t before[4096], offered[OFFERED], after[4096];
} memory __attribute__((aligned(16)));
enum { CANARY = 0xa5 };

static i32 end_of_memory(void) { return __builtin_wasm_memory_size(0) * PAGE; }

// The last page, but for its last bytes: an address right before the end is one of the lies, and may be an honest one.
static uint8_t *last_page(void) { return (uint8_t *)(uintptr_t)(end_of_memory() - PAGE); }
enum { LAST = PAGE - 8 };

static int is_canary(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != CANARY)
            return 0;
    return 1;
}

__attribute__((export_name("intact"))) int intact(void) {
    return is_canary(memory.before, sizeof memory.before) && is_canary(memory.after, sizeof memory.after) &&
           is_canary(last_page(), LAST);
}

__attribute__((export_name("count"))) int count(void) { return CALLS_COUNT; }

static i32 state;
static i32 any(void) {
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}
static i32 below(i32 bound) { return any() % bound; }
#define ONE_OF(...) ((const i64[]){__VA_ARGS__}[below(sizeof((const i64[]){__VA_ARGS__}) / sizeof(i64))])

static i32 last_pointer;

static i32 offered(void) { return (i32)(uintptr_t)memory.offered; }
static int is_offered(i32 pointer) { return pointer - offered() < ROOM; }

static i32 pointer(int honest) {
    i32 end = end_of_memory();
    switch (honest ? 0 : below(10)) {
    case 0: case 1: case 2:
        return last_pointer = offered() + (below(ROOM) & ~15u);
    case 3:
        return offered() + (below(ROOM) | 1);
    case 4:
        return is_offered(last_pointer) ? last_pointer + below(8) : offered();
    case 5:
        return end - 1 - below(3);
    case 6:
        return end;
    case 7:
        return end + below(2 * PAGE);
    case 8:
        return 0xfffffff8 + below(8);
    default:
        return any() | 0x80000000;
    }
}

static i32 length(i32 of, int honest) {
    if (honest)
        return 4;
    i32 end = end_of_memory();
    if (is_offered(of) && below(2))
        return below(2) ? below(64) : below(4096);
    if (!is_offered(of) && below(3) == 0)
        return below(4);
    // From here on to behind the end of memory, and around to its beginning.
    return ONE_OF(0xffffffff, 0x80000000, -of, -of + below(64), end - of + 1 + below(64));
}

static i32 descriptor(int honest) {
    return honest ? 4 : ONE_OF(3, 3, 3, 4, 4, 4, 5, 63, 1023, 1024, 0x7fffffff, 0x80000000, 0xffffffff);
}

// A list of buffers, each a lie of its own.
static void buffers(i32 at, int honest) {
    i32 *list = (i32 *)(uintptr_t)at;
    for (int i = 0; i < 4; i++) {
        list[2 * i] = pointer(honest);
        list[2 * i + 1] = length(list[2 * i], honest);
    }
}

// Subscriptions, none of which waits.
static void subscriptions(i32 at) {
    for (int i = 0; i < 4; i++) {
        uint8_t *one = (uint8_t *)(uintptr_t)(at + 48 * i);
        one[8] = ONE_OF(0, 0, 1, 2, 3, 255);
        i32 what = one[8] == 0 ? ONE_OF(0, 1, 2, 5, 0xffffffff) : descriptor(0);
        memcpy(one + 16, &what, sizeof what);
        one[40] = any();
    }
}

static void text(i32 at) {
    static const char *const texts[] = {"file", ".", "..", "sub/../file", "a\0b", "\xff\xfe", "/", "link", "new"};
    const char *chosen = texts[below(sizeof texts / sizeof *texts)];
    memcpy((void *)(uintptr_t)at, chosen, strlen(chosen) + 1);
}

static void prepare(void) {
    static int done;
    if (done)
        return;
    done = 1;
    __builtin_wasm_memory_grow(0, 1);
    memset(&memory, CANARY, sizeof memory);
    memset(memory.offered, 0, sizeof memory.offered);
    memset(last_page(), CANARY, LAST);
    memcpy(memory.offered, "file", 4);
    // Number 4, where 3 is the directory that was granted.
    lie_path_open(3, 0, offered(), 4, 1, 0x1fffffff, 0x1fffffff, 0, offered() + 8);
    memset(memory.offered, 0, 16);
}

// Seed 0 is honest. Returns what the call did, or 1000 where it wrote to what it was not offered.
__attribute__((export_name("lie"))) int lie(i32 number, i32 seed) {
    if (number >= CALLS_COUNT)
        abort();
    prepare();
    int honest = seed == 0;
    state = (seed + 1) * 2654435761u + number;
    for (int i = 0; i < 8; i++)
        any();
    last_pointer = offered();
    const char *kinds = calls[number].kinds;
    i64 arguments[ARGUMENTS_MAX];
    for (int i = 0; kinds[i]; i++) {
        // One lie at a time is what checks are made for, so some calls are honest but for one argument.
        int is_honest = honest || (seed % 2 == 0 && seed / 2 % strlen(kinds) != (i32)i);
        i64 *a = &arguments[i];
        switch (kinds[i]) {
        case 'f':
            *a = descriptor(is_honest);
            break;
        case 'p':
            *a = pointer(is_honest);
            break;
        case 'v':
            *a = pointer(is_honest);
            if (is_offered(*a) && *a % 4 == 0)
                buffers(*a, is_honest);
            break;
        case 'q':
            *a = pointer(is_honest);
            if (is_offered(*a))
                subscriptions(*a);
            break;
        case 's':
            *a = pointer(is_honest);
            if (is_offered(*a))
                text(*a);
            break;
        case 'l':
            *a = length(arguments[i - 1], is_honest);
            break;
        case 'c':
            // Times 8, 32 and 48 these are about 2^32.
            *a = is_honest ? 1 : ONE_OF(0, 1, 2, 4, 200, 0x05555556, 0x08000000, 0x20000000, 0x20000001, 0xffffffff);
            break;
        case 'n':
            *a = is_honest ? 0 : ONE_OF(0, 1, 2, 3, 7, 0x7fffffff, 0xffffffff);
            break;
        case 'b':
            *a = is_honest ? 0 : ONE_OF(0, 1, 2, 4, 8, 0xffff, 0xffffffff, any());
            break;
        case 'N':
            *a = is_honest ? 0 : ONE_OF(0, 1, 4096, 1ull << 31, 1ull << 32, INT64_MAX, 1ull << 63, -1ull, any());
            break;
        }
    }
    int did = calls[number].call(arguments);
    return intact() ? did : 1000;
}
