// Two products of a matrix and a vector, of which one takes the matrix by its columns.
#include "bench.h"

enum { ORDER = 400, REPEATS = 250 };

static double a[ORDER][ORDER], x[2][ORDER], y[2][ORDER];

static void multiply(void) {
    for (int i = 0; i < ORDER; i++)
        for (int j = 0; j < ORDER; j++)
            x[0][i] += a[i][j] * y[0][j];
    for (int i = 0; i < ORDER; i++)
        for (int j = 0; j < ORDER; j++)
            x[1][i] += a[j][i] * y[1][j];
}

int main(int argc, char **argv) {
    fill(&a[0][0], ORDER, ORDER, 1);
    fill(&x[0][0], 2, ORDER, 2);
    fill(&y[0][0], 2, ORDER, 3);
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--)
        multiply();
    print_checksum(checksum(CHECKSUM_START, x, sizeof x));
    return 0;
}
