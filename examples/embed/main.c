// Compresses a file with zlib in a sandbox, gives it what would crash other programs, and tells what it costs.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "safe_zlib.h"

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static void need(sampan_trap trap) {
    if (trap != SAMPAN_OK) {
        fprintf(stderr, "zlib: %s\n", sampan_trap_message(trap));
        exit(1);
    }
}

// The sandbox has its own memory: what it is to see is copied into it.
static int32_t put(safe_zlib_instance *zlib, const void *bytes, size_t count) {
    int32_t at = 0;
    need(safe_zlib_malloc(zlib, (int32_t)count, &at));
    if (at == 0 || !safe_zlib_memory_write(zlib, at, bytes, count)) {
        fprintf(stderr, "zlib: no memory\n");
        exit(1);
    }
    return at;
}

// What comes out of the sandbox may be anything: the length is checked before it is believed.
static unsigned char *get(safe_zlib_instance *zlib, int32_t at, int32_t count, size_t count_max) {
    unsigned char *bytes = (uint32_t)count <= count_max ? malloc(count ? count : 1) : NULL;
    if (!bytes || !safe_zlib_memory_read(zlib, at, bytes, count)) {
        fprintf(stderr, "zlib: wrong answer\n");
        exit(1);
    }
    return bytes;
}

static int32_t get_length(safe_zlib_instance *zlib, int32_t at) {
    int32_t length = 0;
    safe_zlib_memory_read(zlib, at, &length, sizeof length);
    return length;
}

static unsigned char *read_file(const char *path, size_t *count) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    *count = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*count ? *count : 1);
    if (!bytes || fread(bytes, 1, *count, file) != *count || *count > 256 << 20) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    fclose(file);
    return bytes;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: embed FILE\n");
        return 2;
    }
    size_t count;
    unsigned char *input = read_file(argv[1], &count);

    // One sandbox, with no more than a gigabyte.
    sampan_limits limits = {.memory_bytes_max = 1 << 30};
    safe_zlib_instance *zlib;
    need(safe_zlib_instance_new(&limits, &zlib));

    // There and back.
    int32_t bound, status;
    need(safe_zlib_compressBound(zlib, (int32_t)count, &bound));
    int32_t from = put(zlib, input, count), length = put(zlib, &bound, sizeof bound), to;
    need(safe_zlib_malloc(zlib, bound, &to));
    double before = now_ms();
    need(safe_zlib_compress2(zlib, to, length, from, (int32_t)count, 6, &status));
    double compress_ms = now_ms() - before;
    int32_t compressed_count = get_length(zlib, length);
    unsigned char *compressed = get(zlib, to, compressed_count, bound);

    int32_t whole = (int32_t)count, back;
    safe_zlib_memory_write(zlib, length, &whole, sizeof whole);
    need(safe_zlib_malloc(zlib, whole, &back));
    before = now_ms();
    need(safe_zlib_uncompress(zlib, back, length, to, compressed_count, &status));
    double uncompress_ms = now_ms() - before;
    unsigned char *again = get(zlib, back, get_length(zlib, length), count);
    int same = status == Z_OK && memcmp(input, again, count) == 0;
    printf("%s\n", same ? "compressed, uncompressed: the same" : "compressed, uncompressed: different");

    // The same by zlib itself, in this process.
    uLongf native_count = compressBound(count), native_whole = count;
    unsigned char *native = malloc(native_count), *native_back = malloc(count ? count : 1);
    before = now_ms();
    compress2(native, &native_count, input, count, 6);
    double native_compress_ms = now_ms() - before;
    before = now_ms();
    uncompress(native_back, &native_whole, native, native_count);
    double native_uncompress_ms = now_ms() - before;
    int alike = (size_t)compressed_count == native_count && memcmp(compressed, native, native_count) == 0;
    printf("%s\n", alike ? "zlib itself: the same bytes" : "zlib itself: other bytes");
    fprintf(stderr, "compress: %.1f ms, zlib itself %.1f ms\n", compress_ms, native_compress_ms);
    fprintf(stderr, "uncompress: %.1f ms, zlib itself %.1f ms\n", uncompress_ms, native_uncompress_ms);

    // A stream that is damaged: an error, as from zlib.
    compressed[compressed_count / 2] ^= 0x55;
    safe_zlib_memory_write(zlib, to, compressed, compressed_count);
    need(safe_zlib_uncompress(zlib, back, length, to, compressed_count, &status));
    printf("damaged stream: %s\n", status == Z_OK ? "no error" : "an error");

    // A request that lies about its length: here other programs crash, or give away what they know.
    unsigned char request[8] = {0xff, 0xff, 0xff, 0x7f, 'p', 'i', 'n', 'g'};
    int32_t at = put(zlib, request, sizeof request);
    sampan_trap trap = safe_zlib_heartbeat(zlib, at, to, NULL);
    printf("heartbeat: %s\n", sampan_trap_message(trap));
    safe_zlib_instance_free(zlib);
    return same && alike && trap != SAMPAN_OK ? 0 : 1;
}
