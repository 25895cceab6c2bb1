// What a program may use up, and what its user reads when it used it up.
//
// exit: 1
// source: DESIGN: each limit that is hit ends the program with its own clear message
// case: open files
// sampan: --dir $DIR:/data -O handles=64
// file in.txt: content
// args: files
// stdout: begun
// stderr~: limits.wasm` reached its limit of 64 open files and other host resources
// stderr~: hint: `-O handles=COUNT` sets the limit
// case: files that are closed do not count
// sampan: --dir $DIR:/data -O handles=64
// file in.txt: content
// args: files-closed
// stdout: begun
// exit: 0
// case: time, in a loop
// sampan: --timeout 1s
// args: spin
// stdout~:
// stderr~: limits.wasm` reached its time limit of 1s
// stderr~: hint: `--timeout` sets the limit
// case: time, in a loop that checks
// sampan: --timeout 1s -O interrupt=epoch
// args: spin
// stdout~:
// stderr~: limits.wasm` reached its time limit of 1s
// stderr~: hint: `--timeout` sets the limit
// case: time, asleep
// sampan: --timeout 1s
// args: sleep
// stdout~:
// stderr~: limits.wasm` reached its time limit of 1s
// stderr~: hint: `--timeout` sets the limit
// case: time, waiting for input
// sampan: --timeout 1s
// args: read
// host: hold-stdin
// stdout~:
// stderr~: limits.wasm` reached its time limit of 1s
// stderr~: hint: `--timeout` sets the limit
// case: memory
// sampan: --memory 16M
// args: memory
// stdout: begun
// stderr~: limits.wasm` reached its memory limit of 16 MiB
// stderr~: hint: `--memory` sets the limit
// case: fuel
// profile: dense portable sealed
// sampan: --fuel 2000000
// args: spin
// stdout: begun
// stderr~: limits.wasm` reached its fuel limit of 2000000
// stderr~: hint: `--fuel` sets the limit
// case: stack
// args: recurse
// stdout: begun
// stderr~: limits.wasm` reached its stack limit of 1 MiB
// stderr~: at recurse
// stderr~: hint: `-O stack=SIZE` sets the limit; a recursion without end needs another cure
#include "expect.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static volatile int sink;

__attribute__((noinline)) static void spin(void) {
    for (;;)
        sink++;
}

// The addition after the call keeps the compiler from making a loop of it.
__attribute__((noinline)) static int recurse(int depth) {
    sink = depth;
    return sink < 0 ? 0 : recurse(depth + 1) + sink;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    puts("begun");
    fflush(stdout);
    if (strcmp(what, "files") == 0) {
        while (open("/data/in.txt", O_RDONLY) >= 0)
            ;
        perror("open");
        return 9;
    } else if (strcmp(what, "files-closed") == 0) {
        for (int i = 0; i < 1000; i++) {
            int fd = open("/data/in.txt", O_RDONLY);
            IS(fd >= 0 && close(fd) == 0);
        }
    } else if (strcmp(what, "spin") == 0) {
        spin();
    } else if (strcmp(what, "sleep") == 0) {
        sleep(3600);
    } else if (strcmp(what, "read") == 0) {
        char byte;
        return (int)read(0, &byte, 1) + 9;
    } else if (strcmp(what, "memory") == 0) {
        for (;;) {
            char *block = malloc(1 << 20);
            if (!block)
                return 9;
            memset(block, 1, 1 << 20);
            sink += block[sink & 1023];
        }
    } else if (strcmp(what, "recurse") == 0) {
        return recurse(1) & 1;
    } else {
        return 99;
    }
    return broken;
}
