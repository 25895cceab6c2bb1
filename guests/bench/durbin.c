// Durbin's recursion for the Yule-Walker equations: short loops over vectors, one of them from the end.
#include "bench.h"

enum { ORDER = 400, REPEATS = 800 };

static double r[ORDER], y[ORDER], next[ORDER];

static void solve(void) {
    double alpha = -r[0], beta = 1;
    y[0] = -r[0];
    for (int k = 1; k < ORDER; k++) {
        beta *= 1 - alpha * alpha;
        double sum = 0;
        for (int i = 0; i < k; i++)
            sum += r[k - i - 1] * y[i];
        alpha = -(r[k] + sum) / beta;
        for (int i = 0; i < k; i++)
            next[i] = y[i] + alpha * y[k - i - 1];
        for (int i = 0; i < k; i++)
            y[i] = next[i];
        y[k] = alpha;
    }
}

int main(int argc, char **argv) {
    uint64_t sum = CHECKSUM_START;
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--) {
        // A correlation that decays: the equations can be solved.
        for (int i = 0; i < ORDER; i++)
            r[i] = 0.5 / (i + 1 + n % 8);
        solve();
        sum = checksum(sum, y, sizeof y);
    }
    print_checksum(sum);
    return 0;
}
