// Gauss and Seidel's iteration with a nine-point stencil in place: each point waits for the one before it.
#include "bench.h"

enum { SIDE = 400, REPEATS = 40 };

static double grid[SIDE][SIDE];

static void sweep(void) {
    for (int i = 1; i < SIDE - 1; i++)
        for (int j = 1; j < SIDE - 1; j++)
            grid[i][j] = (grid[i - 1][j - 1] + grid[i - 1][j] + grid[i - 1][j + 1] + grid[i][j - 1] + grid[i][j] +
                          grid[i][j + 1] + grid[i + 1][j - 1] + grid[i + 1][j] + grid[i + 1][j + 1]) / 9;
}

int main(int argc, char **argv) {
    fill(&grid[0][0], SIDE, SIDE, 1);
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--)
        sweep();
    print_checksum(checksum(CHECKSUM_START, grid, sizeof grid));
    return 0;
}
