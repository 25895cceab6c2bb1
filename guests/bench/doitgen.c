// A kernel of multiresolution analysis: the last dimension of a cube is multiplied by a matrix, in place.
#include "bench.h"

enum { OUTER = 50, MIDDLE = 40, INNER = 60, REPEATS = 16 };

static double cube[OUTER][MIDDLE][INNER], matrix[INNER][INNER], row[INNER];

static void multiply(void) {
    for (int r = 0; r < OUTER; r++)
        for (int q = 0; q < MIDDLE; q++) {
            for (int p = 0; p < INNER; p++) {
                row[p] = 0;
                for (int s = 0; s < INNER; s++)
                    row[p] += cube[r][q][s] * matrix[s][p];
            }
            for (int p = 0; p < INNER; p++)
                cube[r][q][p] = row[p];
        }
}

int main(int argc, char **argv) {
    fill(&cube[0][0][0], OUTER * MIDDLE, INNER, 1);
    // Rows that sum to less than 1: what is multiplied again and again does not grow.
    fill(&matrix[0][0], INNER, INNER, 2);
    for (int i = 0; i < INNER; i++)
        for (int j = 0; j < INNER; j++)
            matrix[i][j] /= INNER;
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--)
        multiply();
    print_checksum(checksum(CHECKSUM_START, cube, sizeof cube));
    return 0;
}
