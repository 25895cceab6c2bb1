// A function that is served beside others, as a command by the Common Gateway Interface. The path says what it tries.
// crates/sampan/tests/serve/neighbour.rs serves it beside a function with a secret, under `dense`, `portable` and `sealed`.
// With crates/sampan/tests/serve/isolation.rs, which holds buckets, blobs and SQL apart.
//
// tries: to find another function's environment or what is left of it in memory, to forge its log, and to drown the node in log and answer
// must: it finds its own; its log has its name on every line and is cut; the other function answers all the while
// case: by itself, nobody has called it
// exit: 0
// stdout: 0 bytes are not as new
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

// All that it may have, and that it did not write itself: new memory is zeros, or somebody else's.
static void search(void) {
    size_t dirty = 0, from = __builtin_wasm_memory_size(0);
    __builtin_wasm_memory_grow(0, 512);
    size_t to = __builtin_wasm_memory_size(0);
    for (uint8_t *byte = (uint8_t *)(from << 16); byte < (uint8_t *)(to << 16); byte++) {
        dirty += *byte != 0;
        // For whoever comes after it.
        *byte = 0x5a;
    }
    printf("%zu bytes are not as new\n", dirty);
}

static void flood(size_t bytes, size_t line) {
    char *text = malloc(line);
    memset(text, 'x', line);
    if (line < 1 << 16)
        text[line - 1] = '\n';
    for (size_t written = 0; written < bytes; written += line)
        write(2, text, line);
    printf("said\n");
}

int main(void) {
    const char *path = getenv("PATH_INFO");
    if (path)
        printf("Content-Type: text/plain\n\n");
    fflush(stdout);
    if (!path || strcmp(path, "/search") == 0) {
        search();
    } else if (strcmp(path, "/environment") == 0) {
        for (char **variable = environ; *variable; variable++)
            puts(*variable);
    } else if (strcmp(path, "/forge") == 0) {
        fputs("mine\rvictim | forged\nmine\n\x1b[2J\x1b[Hvictim | forged\n\x0bvictim | forged\n", stderr);
        puts("said");
    } else if (strcmp(path, "/many-lines") == 0) {
        flood(16 << 20, 16);
    } else if (strcmp(path, "/long-lines") == 0) {
        flood(64 << 20, 32 << 10);
    } else if (strcmp(path, "/no-line") == 0) {
        flood(64 << 20, 1 << 20);
    } else if (strcmp(path, "/answer") == 0) {
        static char text[1 << 20];
        for (;;)
            if (write(1, text, sizeof text) < 0)
                return 1;
    }
    return 0;
}
