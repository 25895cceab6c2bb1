// cflags: -fno-math-errno
// Orthonormal vectors by the modified method of Gram and Schmidt, A = Q R: every access goes down a column.
#include "bench.h"
#include <math.h>

enum { ROWS = 200, COLUMNS = 240, REPEATS = 5 };

static double a[ROWS][COLUMNS], q[ROWS][COLUMNS], r[COLUMNS][COLUMNS];

// More columns than rows would leave none but rounding errors: each has something of its own.
static void refill(int seed) {
    fill(&a[0][0], ROWS, COLUMNS, seed);
    for (int j = 0; j < COLUMNS; j++)
        a[j % ROWS][j] += 10 + j;
}

static void orthonormalize(void) {
    for (int k = 0; k < COLUMNS; k++) {
        double squares = 0;
        for (int i = 0; i < ROWS; i++)
            squares += a[i][k] * a[i][k];
        r[k][k] = sqrt(squares);
        for (int i = 0; i < ROWS; i++)
            q[i][k] = a[i][k] / r[k][k];
        for (int j = k + 1; j < COLUMNS; j++) {
            r[k][j] = 0;
            for (int i = 0; i < ROWS; i++)
                r[k][j] += q[i][k] * a[i][j];
            for (int i = 0; i < ROWS; i++)
                a[i][j] -= q[i][k] * r[k][j];
        }
    }
}

int main(int argc, char **argv) {
    uint64_t sum = CHECKSUM_START;
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--) {
        refill(n);
        orthonormalize();
        sum = checksum(sum, r, sizeof r);
    }
    print_checksum(sum);
    return 0;
}
