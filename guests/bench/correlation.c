// cflags: -fno-math-errno
// The correlation of each column of data with each other one: means, deviations, and products down columns.
#include "bench.h"
#include <math.h>

enum { SAMPLES = 260, QUANTITIES = 240, REPEATS = 8 };

static double data[SAMPLES][QUANTITIES], correlations[QUANTITIES][QUANTITIES];
static double means[QUANTITIES], deviations[QUANTITIES];

static void describe(void) {
    for (int j = 0; j < QUANTITIES; j++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < SAMPLES; i++)
            sum += data[i][j];
        means[j] = sum / SAMPLES;
        for (int i = 0; i < SAMPLES; i++)
            squares += (data[i][j] - means[j]) * (data[i][j] - means[j]);
        deviations[j] = sqrt(squares / SAMPLES);
        // What is the same in all samples correlates with nothing.
        if (deviations[j] <= 0.1)
            deviations[j] = 1;
    }
}

static void correlate(void) {
    for (int i = 0; i < SAMPLES; i++)
        for (int j = 0; j < QUANTITIES; j++)
            data[i][j] = (data[i][j] - means[j]) / (sqrt(SAMPLES) * deviations[j]);
    for (int i = 0; i < QUANTITIES; i++) {
        correlations[i][i] = 1;
        for (int j = i + 1; j < QUANTITIES; j++) {
            correlations[i][j] = 0;
            for (int k = 0; k < SAMPLES; k++)
                correlations[i][j] += data[k][i] * data[k][j];
            correlations[j][i] = correlations[i][j];
        }
    }
}

int main(int argc, char **argv) {
    uint64_t sum = CHECKSUM_START;
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--) {
        fill(&data[0][0], SAMPLES, QUANTITIES, n);
        describe();
        correlate();
        sum = checksum(sum, correlations, sizeof correlations);
    }
    print_checksum(sum);
    return 0;
}
