// General matrix multiplication, C = alpha A B + beta C (BLAS level 3): floating point along rows.
#include "bench.h"

enum { ROWS = 200, COLUMNS = 220, INNER = 240, REPEATS = 30 };

static double a[ROWS][INNER], b[INNER][COLUMNS], c[ROWS][COLUMNS];

static void gemm(double alpha, double beta) {
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLUMNS; j++)
            c[i][j] *= beta;
        for (int k = 0; k < INNER; k++) {
            double scaled = alpha * a[i][k];
            for (int j = 0; j < COLUMNS; j++)
                c[i][j] += scaled * b[k][j];
        }
    }
}

int main(int argc, char **argv) {
    fill(&a[0][0], ROWS, INNER, 1);
    fill(&b[0][0], INNER, COLUMNS, 2);
    fill(&c[0][0], ROWS, COLUMNS, 3);
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--)
        gemm(0.5, 0.9);
    print_checksum(checksum(CHECKSUM_START, c, sizeof c));
    return 0;
}
