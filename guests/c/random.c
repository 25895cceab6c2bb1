// Random numbers.
//
// exit: 0
// source: POSIX.1-2024 getentropy; WASI 0.1 random_get: the whole buffer is filled, and no two calls agree
#include "expect.h"
#include <unistd.h>
#include <wasi/api.h>

int main(void) {
    unsigned char first[64] = {0}, second[64] = {0};
    IS(getentropy(first, sizeof first) == 0 && getentropy(second, sizeof second) == 0);
    IS(memcmp(first, second, sizeof first) != 0);

    // Exactly the bytes asked for are written, and all of them.
    static unsigned char bytes[100002];
    memset(bytes, 0xa5, sizeof bytes);
    IS(__wasi_random_get(bytes + 1, sizeof bytes - 2) == 0);
    IS(bytes[0] == 0xa5 && bytes[sizeof bytes - 1] == 0xa5);
    int counts[256] = {0};
    for (size_t i = 1; i + 1 < sizeof bytes; i++)
        counts[bytes[i]]++;
    // 100,000 bytes make 390 of each value, give or take 20: beyond ±200 something is wrong.
    for (int value = 0; value < 256; value++)
        IS(counts[value] > 190 && counts[value] < 590);
    IS(__wasi_random_get(bytes, 0) == 0);
    return broken;
}
