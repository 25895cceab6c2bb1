// Symmetric update of rank k, C = alpha A A^T + beta C, of the lower triangle (BLAS level 3).
#include "bench.h"

enum { ORDER = 240, INNER = 200, REPEATS = 30 };

static double a[ORDER][INNER], c[ORDER][ORDER];

static void update(double alpha, double beta) {
    for (int i = 0; i < ORDER; i++) {
        for (int j = 0; j <= i; j++)
            c[i][j] *= beta;
        for (int k = 0; k < INNER; k++)
            for (int j = 0; j <= i; j++)
                c[i][j] += alpha * a[i][k] * a[j][k];
    }
}

int main(int argc, char **argv) {
    fill(&a[0][0], ORDER, INNER, 1);
    fill(&c[0][0], ORDER, ORDER, 2);
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--)
        update(0.5, 0.9);
    print_checksum(checksum(CHECKSUM_START, c, sizeof c));
    return 0;
}
