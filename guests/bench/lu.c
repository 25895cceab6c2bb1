// LU decomposition without pivoting, in place, row by row: floating point with a triangular reach.
#include "bench.h"

enum { ORDER = 400, REPEATS = 12 };

static double a[ORDER][ORDER];

// Dominated by its diagonal, so that no pivot comes near zero.
static void refill(int seed) {
    for (int i = 0; i < ORDER; i++) {
        for (int j = 0; j < ORDER; j++)
            a[i][j] = (double)((i * 31 + j * 17 + seed) % 97) / 97;
        a[i][i] += ORDER;
    }
}

static void decompose(void) {
    for (int i = 1; i < ORDER; i++)
        for (int k = 0; k < i; k++) {
            double factor = a[i][k] / a[k][k];
            a[i][k] = factor;
            for (int j = k + 1; j < ORDER; j++)
                a[i][j] -= factor * a[k][j];
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
