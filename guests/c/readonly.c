// A directory that was granted for reading only: nothing in it can be changed, by any call.
//
// sampan: --dir $DIR:/data:ro
// file file.txt: as it was
// file full/inner.txt: inside
// link soft: file.txt
// exit: 0
// after file.txt: as it was
// after full/inner.txt: inside
// source: POSIX.1-2024 says EROFS for a read-only file system; Wasmtime's host gives EPERM, as for a missing right
#include "expect.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void) {
    FAILS(open("/data/file.txt", O_WRONLY), EPERM);
    FAILS(open("/data/file.txt", O_RDWR), EPERM);
    FAILS(open("/data/file.txt", O_WRONLY | O_APPEND), EPERM);
    FAILS(open("/data/file.txt", O_RDONLY | O_TRUNC), EPERM);
    FAILS(open("/data/soft", O_WRONLY), EPERM);
    FAILS(open("/data/new", O_WRONLY | O_CREAT, 0600), EPERM);
    FAILS(open("/data/new", O_RDONLY | O_CREAT, 0600), EPERM);
    FAILS(mkdir("/data/new", 0700), EPERM);
    FAILS(rmdir("/data/full"), EPERM);
    FAILS(unlink("/data/file.txt"), EPERM);
    FAILS(unlink("/data/full/inner.txt"), EPERM);
    FAILS(rename("/data/file.txt", "/data/new"), EPERM);
    FAILS(rename("/data/full/inner.txt", "/data/new"), EPERM);
    FAILS(symlink("file.txt", "/data/new"), EPERM);
    FAILS(link("/data/file.txt", "/data/new"), EPERM);
    FAILS(truncate("/data/file.txt", 0), EPERM);
    struct timespec times[2] = {{1, 0}, {1, 0}};
    FAILS(utimensat(AT_FDCWD, "/data/file.txt", times, 0), EPERM);

    int fd = open("/data/file.txt", O_RDONLY);
    IS(fd >= 0);
    FAILS(futimens(fd, times), EPERM);
    char text[16] = {0};
    IS(read(fd, text, sizeof text) == 10 && strcmp(text, "as it was\n") == 0);
    FAILS(write(fd, "x", 1), EBADF);
    IS(ftruncate(fd, 0) == -1);
    IS(close(fd) == 0);

    // A directory opened from a read-only one is no way to write either.
    int directory = open("/data/full", O_RDONLY | O_DIRECTORY);
    IS(directory >= 0);
    // Here wasi-libc itself drops the right to write, so that the call succeeds and the write fails.
    fd = openat(directory, "inner.txt", O_WRONLY);
    FAILS(write(fd, "x", 1), EBADF);
    FAILS(openat(directory, "new", O_WRONLY | O_CREAT, 0600), EPERM);
    FAILS(mkdirat(directory, "new", 0700), EPERM);
    FAILS(unlinkat(directory, "inner.txt", 0), EPERM);
    IS(close(directory) == 0);

    struct stat about;
    IS(stat("/data/file.txt", &about) == 0 && about.st_size == 10 && about.st_mtim.tv_sec > 1);
    return broken;
}
