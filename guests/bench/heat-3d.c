// The heat equation in a cube, by a seven-point stencil: three indices, and all that is read lies in the caches.
#include "bench.h"

enum { SIDE = 40, REPEATS = 1200 };

static double cube[2][SIDE][SIDE][SIDE];

static double curvature(double before, double here, double after) { return after - 2 * here + before; }

static void step(double (*restrict to)[SIDE][SIDE], double (*restrict from)[SIDE][SIDE]) {
    for (int i = 1; i < SIDE - 1; i++)
        for (int j = 1; j < SIDE - 1; j++)
            for (int k = 1; k < SIDE - 1; k++) {
                double here = from[i][j][k];
                to[i][j][k] = 0.125 * curvature(from[i - 1][j][k], here, from[i + 1][j][k]) +
                              0.125 * curvature(from[i][j - 1][k], here, from[i][j + 1][k]) +
                              0.125 * curvature(from[i][j][k - 1], here, from[i][j][k + 1]) + here;
            }
}

int main(int argc, char **argv) {
    fill(&cube[0][0][0][0], SIDE * SIDE, SIDE, 1);
    memcpy(cube[1], cube[0], sizeof cube[0]);
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--)
        step(cube[n % 2], cube[1 - n % 2]);
    print_checksum(checksum(CHECKSUM_START, cube, sizeof cube));
    return 0;
}
