// Nussinov's algorithm: the most base pairs that an RNA strand can fold into. Dynamic programming over integers.
#include "bench.h"

enum { LENGTH = 400, REPEATS = 16 };

// One row more than there are bases: the fold from behind the last one.
static int pairs[LENGTH + 1][LENGTH];
static unsigned char strand[LENGTH];

static int max(int a, int b) { return a > b ? a : b; }

// Bases are numbered so that the two of a pair sum to 3: A-U and C-G.
static int match(int i, int j) { return strand[i] + strand[j] == 3; }

static void fold(void) {
    for (int i = LENGTH - 1; i >= 0; i--)
        for (int j = i + 1; j < LENGTH; j++) {
            int best = max(pairs[i][j - 1], pairs[i + 1][j]);
            // Neighbours lie too close to bind.
            best = max(best, pairs[i + 1][j - 1] + (i < j - 1 && match(i, j)));
            for (int k = i + 1; k < j; k++)
                best = max(best, pairs[i][k] + pairs[k + 1][j]);
            pairs[i][j] = best;
        }
}

int main(int argc, char **argv) {
    uint64_t sum = CHECKSUM_START;
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--) {
        for (int i = 0; i < LENGTH; i++)
            strand[i] = (unsigned char)((i * i + n * i + i / 7) % 4);
        memset(pairs, 0, sizeof pairs);
        fold();
        sum = checksum(sum, pairs, sizeof pairs);
    }
    print_checksum(sum);
    return 0;
}
