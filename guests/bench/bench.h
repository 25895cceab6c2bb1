// What every benchmark shares: how often it repeats its work, and the number it prints.
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The first argument, if there is one: a test repeats less than a measurement, and 0 is all but the work.
static inline int repeats(int argc, char **argv, int by_default) { return argc > 1 ? atoi(argv[1]) : by_default; }

#define CHECKSUM_START UINT64_C(0xcbf29ce484222325)

// FNV-1a over 64-bit words: equal only if the result is the same, bit for bit.
static inline uint64_t checksum(uint64_t sum, const void *data, size_t bytes) {
    for (size_t at = 0; at + 8 <= bytes; at += 8) {
        uint64_t word;
        memcpy(&word, (const char *)data + at, 8);
        sum = (sum ^ word) * UINT64_C(0x100000001b3);
    }
    return sum;
}

// Numbers from 0 to 1, in a pattern that no row or column repeats.
static inline void fill(double *matrix, int rows, int columns, int seed) {
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            matrix[i * columns + j] = (double)((i * 7 + j * 13 + seed) % 101) / 101;
}

static inline void print_checksum(uint64_t sum) { printf("%016" PRIx64 "\n", sum); }
