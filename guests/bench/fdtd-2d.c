// Maxwell's equations in two dimensions by finite differences in time: three fields that feed each other.
#include "bench.h"

enum { WIDTH = 200, HEIGHT = 240, REPEATS = 1000 };

static double ex[WIDTH][HEIGHT], ey[WIDTH][HEIGHT], hz[WIDTH][HEIGHT];

static void step(double source) {
    for (int j = 0; j < HEIGHT; j++)
        ey[0][j] = source;
    for (int i = 1; i < WIDTH; i++)
        for (int j = 0; j < HEIGHT; j++)
            ey[i][j] -= 0.5 * (hz[i][j] - hz[i - 1][j]);
    for (int i = 0; i < WIDTH; i++)
        for (int j = 1; j < HEIGHT; j++)
            ex[i][j] -= 0.5 * (hz[i][j] - hz[i][j - 1]);
    for (int i = 0; i < WIDTH - 1; i++)
        for (int j = 0; j < HEIGHT - 1; j++)
            hz[i][j] -= 0.7 * (ex[i][j + 1] - ex[i][j] + ey[i + 1][j] - ey[i][j]);
}

int main(int argc, char **argv) {
    fill(&ex[0][0], WIDTH, HEIGHT, 1);
    fill(&ey[0][0], WIDTH, HEIGHT, 2);
    fill(&hz[0][0], WIDTH, HEIGHT, 3);
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--)
        step(n % 16);
    uint64_t sum = checksum(checksum(CHECKSUM_START, ex, sizeof ex), ey, sizeof ey);
    print_checksum(checksum(sum, hz, sizeof hz));
    return 0;
}
