// cflags: -fno-math-errno
// Cholesky decomposition of a positive-definite matrix, in place, row by row: dot products of rows.
#include "bench.h"
#include <math.h>

enum { ORDER = 400, REPEATS = 6 };

static double a[ORDER][ORDER];

// Symmetric, and dominated by its diagonal: positive-definite.
static void refill(int seed) {
    for (int i = 0; i < ORDER; i++) {
        for (int j = 0; j <= i; j++)
            a[i][j] = a[j][i] = (double)((i * 31 + j * 17 + seed) % 97) / 97;
        a[i][i] += ORDER;
    }
}

static void decompose(void) {
    for (int i = 0; i < ORDER; i++) {
        for (int j = 0; j < i; j++) {
            for (int k = 0; k < j; k++)
                a[i][j] -= a[i][k] * a[j][k];
            a[i][j] /= a[j][j];
        }
        for (int k = 0; k < i; k++)
            a[i][i] -= a[i][k] * a[i][k];
        a[i][i] = sqrt(a[i][i]);
    }
}

int main(int argc, char **argv) {
    uint64_t sum = CHECKSUM_START;
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--) {
        refill(n);
        decompose();
        sum = checksum(sum, a, sizeof a);
    }
    print_checksum(sum);
    return 0;
}
