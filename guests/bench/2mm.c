// Two matrix products in a row, D = alpha A B C + beta D: floating point down columns.
#include "bench.h"

enum { ROWS = 180, INNER = 210, MIDDLE = 190, COLUMNS = 220, REPEATS = 5 };

static double a[ROWS][INNER], b[INNER][MIDDLE], c[MIDDLE][COLUMNS], d[ROWS][COLUMNS], product[ROWS][MIDDLE];

static void multiply_twice(double alpha, double beta) {
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < MIDDLE; j++) {
            product[i][j] = 0;
            for (int k = 0; k < INNER; k++)
                product[i][j] += alpha * a[i][k] * b[k][j];
        }
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) {
            d[i][j] *= beta;
            for (int k = 0; k < MIDDLE; k++)
                d[i][j] += product[i][k] * c[k][j];
        }
}

int main(int argc, char **argv) {
    fill(&a[0][0], ROWS, INNER, 1);
    fill(&b[0][0], INNER, MIDDLE, 2);
    fill(&c[0][0], MIDDLE, COLUMNS, 3);
    fill(&d[0][0], ROWS, COLUMNS, 4);
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--)
        multiply_twice(0.5, 0.9);
    print_checksum(checksum(CHECKSUM_START, d, sizeof d));
    return 0;
}
