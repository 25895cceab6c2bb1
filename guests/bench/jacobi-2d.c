// Jacobi's iteration with a five-point stencil on a square: floating point bound by memory.
#include "bench.h"

enum { SIDE = 700, REPEATS = 200 };

static double grid[2][SIDE][SIDE];

static void step(double (*restrict to)[SIDE], double (*restrict from)[SIDE]) {
    for (int i = 1; i < SIDE - 1; i++)
        for (int j = 1; j < SIDE - 1; j++)
            to[i][j] = 0.2 * (from[i][j] + from[i][j - 1] + from[i][j + 1] + from[i - 1][j] + from[i + 1][j]);
}

int main(int argc, char **argv) {
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            grid[0][i][j] = grid[1][i][j] = (double)((i * 3 + j * 5) % 89) / 89;
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--)
        step(grid[n % 2], grid[1 - n % 2]);
    print_checksum(checksum(CHECKSUM_START, grid, sizeof grid));
    return 0;
}
