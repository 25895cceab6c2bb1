// Reading and writing files.
//
// sampan: --dir $DIR:/data
// file in.txt: 0123456789
// exit: 0
// after made: hello!
// source: POSIX.1-2024 open, read, pread, lseek, write, pwrite, ftruncate, fstat, futimens
#include "expect.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void opening(void) {
    FAILS(open("/data/none", O_RDONLY), ENOENT);
    FAILS(open("/data/none/file", O_WRONLY | O_CREAT, 0600), ENOENT);
    FAILS(open("/data/in.txt/file", O_RDONLY), ENOTDIR);
    FAILS(open("/data/in.txt", O_RDONLY | O_DIRECTORY), ENOTDIR);
    FAILS(open("/data/in.txt", O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
    FAILS(open("/data", O_WRONLY), EISDIR);
    FAILS(open("", O_RDONLY), ENOENT);

    int fd = open("/data/made", O_WRONLY | O_CREAT | O_EXCL, 0600);
    IS(fd >= 0);
    IS(write(fd, "hello, world\n", 13) == 13);
    char byte;
    FAILS(read(fd, &byte, 1), EBADF);
    IS(close(fd) == 0);
    FAILS(close(fd), EBADF);

    fd = open("/data/made", O_WRONLY | O_TRUNC);
    struct stat about;
    IS(fstat(fd, &about) == 0 && about.st_size == 0);
    IS(write(fd, "hello", 5) == 5);
    IS(close(fd) == 0);

    // Each write of O_APPEND goes to the end, wherever the offset was.
    fd = open("/data/made", O_RDWR | O_APPEND);
    IS(lseek(fd, 0, SEEK_SET) == 0);
    IS(write(fd, "!\n", 2) == 2);
    IS(lseek(fd, 0, SEEK_CUR) == 7);
    IS(close(fd) == 0);

    fd = open("/data/in.txt", O_RDONLY);
    FAILS(write(fd, "x", 1), EBADF);
    FAILS(ftruncate(fd, 1), EINVAL);
    IS(close(fd) == 0);
}

static void reading(void) {
    int fd = open("/data/in.txt", O_RDONLY);
    char bytes[32] = {0};
    IS(read(fd, bytes, 4) == 4 && memcmp(bytes, "0123", 4) == 0);
    IS(pread(fd, bytes, 3, 7) == 3 && memcmp(bytes, "789", 3) == 0);
    IS(read(fd, bytes, 2) == 2 && memcmp(bytes, "45", 2) == 0);
    IS(lseek(fd, 2, SEEK_CUR) == 8);
    IS(lseek(fd, -3, SEEK_END) == 8);
    IS(read(fd, bytes, sizeof bytes) == 3 && memcmp(bytes, "89\n", 3) == 0);
    IS(read(fd, bytes, sizeof bytes) == 0);
    IS(lseek(fd, 100, SEEK_SET) == 100);
    IS(read(fd, bytes, 1) == 0);
    IS(pread(fd, bytes, 1, 100) == 0);
    IS(read(fd, bytes, 0) == 0);
    FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
    FAILS(lseek(0, 0, SEEK_SET), ESPIPE);
    IS(close(fd) == 0);
}

static void writing(void) {
    int fd = open("/data/holes", O_RDWR | O_CREAT, 0600);
    IS(write(fd, "abc", 3) == 3);
    IS(pwrite(fd, "xyz", 3, 6) == 3);
    IS(lseek(fd, 0, SEEK_CUR) == 3);
    IS(lseek(fd, 20, SEEK_SET) == 20);
    IS(write(fd, "end", 3) == 3);
    char bytes[32];
    IS(pread(fd, bytes, sizeof bytes, 0) == 23);
    IS(memcmp(bytes, "abc\0\0\0xyz\0\0\0\0\0\0\0\0\0\0\0end", 23) == 0);
    IS(ftruncate(fd, 4) == 0);
    IS(pread(fd, bytes, sizeof bytes, 0) == 4);
    IS(ftruncate(fd, 8) == 0);
    IS(pread(fd, bytes, sizeof bytes, 0) == 8 && memcmp(bytes, "abc\0\0\0\0\0", 8) == 0);
    IS(fsync(fd) == 0 && fdatasync(fd) == 0);
    IS(close(fd) == 0);
}

static void describing(void) {
    struct stat file, directory;
    IS(stat("/data/in.txt", &file) == 0 && stat("/data", &directory) == 0);
    IS(S_ISREG(file.st_mode) && S_ISDIR(directory.st_mode));
    IS(file.st_size == 11 && file.st_nlink == 1);
    IS(file.st_ino != 0 && file.st_ino != directory.st_ino);
    FAILS(stat("/data/none", &file), ENOENT);

    int fd = open("/data/in.txt", O_RDWR);
    struct timespec times[2] = {{1000000000, 5000}, {1234567890, 123456000}};
    IS(futimens(fd, times) == 0);
    IS(fstat(fd, &file) == 0 && file.st_mtim.tv_sec == 1234567890 && file.st_mtim.tv_nsec == 123456000);
    IS(file.st_atim.tv_sec == 1000000000);
    struct timespec only_access[2] = {{1000000001, 0}, {0, UTIME_OMIT}};
    IS(utimensat(AT_FDCWD, "/data/in.txt", only_access, 0) == 0);
    IS(stat("/data/in.txt", &file) == 0);
    IS(file.st_atim.tv_sec == 1000000001 && file.st_mtim.tv_sec == 1234567890);
    struct timespec now[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
    IS(futimens(fd, now) == 0);
    IS(fstat(fd, &file) == 0 && file.st_mtim.tv_sec > 1600000000);
    IS(close(fd) == 0);
}

int main(void) {
    opening();
    reading();
    writing();
    describing();
    return broken;
}
