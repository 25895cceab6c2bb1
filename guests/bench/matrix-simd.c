// A matrix product of 32-bit floats with vectors written by hand: four columns a vector, four rows by two vectors at a time.
#include "bench.h"

#ifdef __wasm_simd128__
#include <wasm_simd128.h>
typedef v128_t vector;
static vector load(const float *from) { return wasm_v128_load(from); }
static void store(float *to, vector value) { wasm_v128_store(to, value); }
static vector splat(float value) { return wasm_f32x4_splat(value); }
static vector add(vector a, vector b) { return wasm_f32x4_add(a, b); }
static vector multiply(vector a, vector b) { return wasm_f32x4_mul(a, b); }
#else
#include <xmmintrin.h>
typedef __m128 vector;
static vector load(const float *from) { return _mm_loadu_ps(from); }
static void store(float *to, vector value) { _mm_storeu_ps(to, value); }
static vector splat(float value) { return _mm_set1_ps(value); }
static vector add(vector a, vector b) { return _mm_add_ps(a, b); }
static vector multiply(vector a, vector b) { return _mm_mul_ps(a, b); }
#endif

enum { ORDER = 256, ROWS = 4, VECTORS = 2, LANES = 4, REPEATS = 50 };

static float a[ORDER][ORDER], b[ORDER][ORDER], c[ORDER][ORDER];

static void product(void) {
    for (int i = 0; i < ORDER; i += ROWS)
        for (int j = 0; j < ORDER; j += VECTORS * LANES) {
            vector sums[ROWS][VECTORS];
            // Whatever else is unrolled, these are, so that the sums lie in registers.
#pragma clang loop unroll(full)
            for (int row = 0; row < ROWS; row++)
#pragma clang loop unroll(full)
                for (int at = 0; at < VECTORS; at++)
                    sums[row][at] = splat(0);
            for (int k = 0; k < ORDER; k++) {
                vector left = load(&b[k][j]), right = load(&b[k][j + LANES]);
#pragma clang loop unroll(full)
                for (int row = 0; row < ROWS; row++) {
                    vector factor = splat(a[i + row][k]);
                    sums[row][0] = add(sums[row][0], multiply(factor, left));
                    sums[row][1] = add(sums[row][1], multiply(factor, right));
                }
            }
#pragma clang loop unroll(full)
            for (int row = 0; row < ROWS; row++)
#pragma clang loop unroll(full)
                for (int at = 0; at < VECTORS; at++)
                    store(&c[i + row][j + at * LANES], sums[row][at]);
        }
}

int main(int argc, char **argv) {
    uint64_t sum = CHECKSUM_START;
    for (int i = 0; i < ORDER; i++)
        for (int j = 0; j < ORDER; j++) {
            a[i][j] = (float)((i * 7 + j * 13) % 101) / 101;
            b[i][j] = (float)((i * 5 + j * 3) % 89) / 89;
        }
    for (int n = repeats(argc, argv, REPEATS); n > 0; n--) {
        a[n % ORDER][0] = (float)n;
        product();
        sum = checksum(sum, c, sizeof c);
    }
    print_checksum(sum);
    return 0;
}
