// with: zlib
// Compression by zlib of text and of numbers, and back again.
#include "bench.h"
#include "zlib.h"

enum { BYTES = 300000, REPEATS = 3 };

static unsigned char plain[BYTES], packed[BYTES + BYTES / 100 + 100], unpacked[BYTES];

static const char *const words[] = {
    "compression ", "of ", "what ", "repeats ", "itself, ", "again ", "and ", "again; ", "the ", "river ", "flows ",
    "by ", "seven ", "bridges", ".\n", "It ",
};

// The first half is text, the second numbers that rise slowly.
static void write_plain(void) {
    uint32_t seed = 1, number = 0;
    for (size_t length = 0; length < BYTES / 2;) {
        seed = seed * 1664525u + 1013904223u;
        for (const char *word = words[seed >> 28]; *word && length < BYTES / 2; word++)
            plain[length++] = (unsigned char)*word;
    }
    for (size_t at = BYTES / 2; at + 4 <= BYTES; at += 4) {
        seed = seed * 1664525u + 1013904223u;
        number += seed >> 25;
        memcpy(plain + at, &number, 4);
    }
}

static uint64_t round_trip(int level, uint64_t sum) {
    uLongf packed_bytes = sizeof packed, unpacked_bytes = sizeof unpacked;
    if (compress2(packed, &packed_bytes, plain, BYTES, level) != Z_OK ||
        uncompress(unpacked, &unpacked_bytes, packed, packed_bytes) != Z_OK || memcmp(plain, unpacked, BYTES))
        exit(1);
    return checksum(sum, packed, packed_bytes);
}

int main(int argc, char **argv) {
    uint64_t sum = CHECKSUM_START;
    write_plain();
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--)
        sum = round_trip(6, round_trip(1, sum));
    print_checksum(sum);
    return 0;
}
