// No path leads out of a granted directory, however it is written.
//
// sampan: --dir $DIR:/data --dir $DIR/other:/other
// file inside.txt: inside
// file sub/deep.txt: deep
// file other/x.txt: x
// link to-passwd: /etc/passwd
// link to-parent: ..
// link to-out: ../out
// link to-secret: ../out/secret.txt
// link to-absolute: $OUT
// link chain-1: chain-2
// link chain-2: sub/chain-3
// link sub/chain-3: ../../out/secret.txt
// link around: sub/../../out/secret.txt
// link within: sub/../inside.txt
// exit: 0
// after inside.txt: inside
// tries: to leave a granted directory by `..`, absolute paths and links, also of its own making, with every call that takes a path
// must: every call fails, nothing outside is read or changed; `..` that stays within is no attack and works
#include "../c/expect.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wasi/api.h>

// wasi-libc looks at `/x` itself and finds no directory for it; the rest is the host's work.
static const char *outside[] = {
    "/data/../out/secret.txt",
    "/data/..",
    "/data/../",
    "/data/./../out/secret.txt",
    "/data/sub/../../out/secret.txt",
    "/data/sub/../../../../../../../../etc/passwd",
    "/data/to-passwd",
    "/data/to-parent",
    "/data/to-parent/out/secret.txt",
    "/data/to-out/secret.txt",
    "/data/to-secret",
    "/data/to-absolute/secret.txt",
    "/data/chain-1",
    "/data/sub/chain-3",
    "/data/around",
    "/data/to-parent/dir/inside.txt",
    "/other/../inside.txt",
};

// Every call that takes one path, on a path that leads outside.
static void refused(const char *path) {
    struct stat about;
    struct timespec times[2] = {{1, 0}, {1, 0}};
    const int failures[] = {
        open(path, O_RDONLY),
        open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600),
        stat(path, &about),
        truncate(path, 0),
        utimensat(AT_FDCWD, path, times, 0),
        opendir(path) ? 0 : -1,
    };
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        if (failures[i] != -1) {
            fprintf(stderr, "call %zu got through with %s\n", i, path);
            broken = 1;
        }
}

// What wasi-libc would not pass on: the host is asked directly. The first granted directory is number 3.
static void refused_by_host(const char *path) {
    __wasi_fd_t fd;
    __wasi_filestat_t about;
    if (__wasi_path_open(3, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, path, 0, __WASI_RIGHTS_FD_READ, 0, 0, &fd) == 0 ||
        __wasi_path_filestat_get(3, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, path, &about) == 0 ||
        __wasi_path_create_directory(3, path) == 0 || __wasi_path_unlink_file(3, path) == 0 ||
        __wasi_path_remove_directory(3, path) == 0) {
        fprintf(stderr, "the host let %s through\n", path);
        broken = 1;
    }
}

int main(void) {
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        refused(outside[i]);
    refused("/etc/passwd");
    refused("/proc/self/environ");
    const char *raw[] = {"/etc/passwd", "/", "..", "../out/secret.txt", "sub/../../out/secret.txt", "./../../x", "//etc/passwd", ""};
    for (size_t i = 0; i < sizeof raw / sizeof *raw; i++)
        refused_by_host(raw[i]);

    // Moving or linking something in or out, under a new name outside or from an old one there.
    IS(rename("/data/inside.txt", "/data/../out/stolen") == -1);
    IS(rename("/data/inside.txt", "/data/to-out/stolen") == -1);
    IS(rename("/data/../out/secret.txt", "/data/mine") == -1);
    IS(rename("/data/to-out/secret.txt", "/data/mine") == -1);
    IS(link("/data/../out/secret.txt", "/data/mine") == -1);
    IS(link("/data/to-out/secret.txt", "/data/mine") == -1);
    IS(link("/data/inside.txt", "/data/to-out/planted") == -1);
    IS(mkdir("/data/to-out/planted", 0700) == -1);
    IS(symlink("x", "/data/to-out/planted") == -1);
    IS(unlink("/data/to-out/secret.txt") == -1);
    char text[256];
    IS(readlink("/data/to-parent/out", text, sizeof text) == -1);

    // A link of the program's own making opens nothing either. The host refuses absolute targets at once.
    IS(symlink("/etc/passwd", "/data/own-absolute") == -1);
    IS(symlink("../out/secret.txt", "/data/own") == 0);
    IS(open("/data/own", O_RDONLY) == -1);
    IS(symlink("own", "/data/own-chain") == 0);
    IS(open("/data/own-chain", O_RDONLY) == -1);

    // `..` is good as long as it stays within.
    int fd = open("/data/sub/../inside.txt", O_RDONLY);
    IS(fd >= 0 && close(fd) == 0);
    fd = open("/data/within", O_RDONLY);
    IS(fd >= 0 && close(fd) == 0);
    return broken;
}
