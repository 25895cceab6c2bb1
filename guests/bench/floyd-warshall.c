// The shortest paths between all pairs of nodes, after Floyd and Warshall: integers, and a minimum in the innermost loop.
#include "bench.h"

enum { NODES = 300, REPEATS = 4 };

static int paths[NODES][NODES];

// Most pairs have no edge, which is as long as no path can be.
static void refill(int seed) {
    for (int i = 0; i < NODES; i++)
        for (int j = 0; j < NODES; j++)
            paths[i][j] = i == j ? 0 : (i * 7 + j * 11 + seed) % 13 < 3 ? i * j % 7 + 1 : 999;
}

static void shorten(void) {
    for (int k = 0; k < NODES; k++)
        for (int i = 0; i < NODES; i++)
            for (int j = 0; j < NODES; j++) {
                int over_k = paths[i][k] + paths[k][j];
                paths[i][j] = paths[i][j] < over_k ? paths[i][j] : over_k;
            }
}

int main(int argc, char **argv) {
    uint64_t sum = CHECKSUM_START;
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--) {
        refill(n);
        shorten();
        sum = checksum(sum, paths, sizeof paths);
    }
    print_checksum(sum);
    return 0;
}
