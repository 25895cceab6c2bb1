// Directories, links and the names in them.
//
// sampan: --dir $DIR:/data
// file a.txt: a
// file full/inner.txt: inner
// exit: 0
// after moved.txt: a
// source: POSIX.1-2024 mkdir, rmdir, rename, unlink, link, symlink, readlink, readdir
#include "expect.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static int exists(const char *path) {
    struct stat about;
    return lstat(path, &about) == 0;
}

static void directories(void) {
    IS(mkdir("/data/d", 0700) == 0);
    FAILS(mkdir("/data/d", 0700), EEXIST);
    FAILS(mkdir("/data/a.txt", 0700), EEXIST);
    FAILS(mkdir("/data/none/d", 0700), ENOENT);
    FAILS(mkdir("/data/a.txt/d", 0700), ENOTDIR);
    FAILS(rmdir("/data/full"), ENOTEMPTY);
    FAILS(rmdir("/data/a.txt"), ENOTDIR);
    FAILS(rmdir("/data/none"), ENOENT);
    IS(rmdir("/data/d") == 0 && !exists("/data/d"));
}

static void renaming(void) {
    FAILS(rename("/data/none", "/data/x"), ENOENT);
    FAILS(rename("/data/a.txt", "/data/full"), EISDIR);
    FAILS(rename("/data/full", "/data/a.txt"), ENOTDIR);
    FAILS(rename("/data/full", "/data/full/inside"), EINVAL);
    IS(mkdir("/data/empty", 0700) == 0);
    FAILS(rename("/data/empty", "/data/full"), ENOTEMPTY);
    IS(rename("/data/full", "/data/empty") == 0 && exists("/data/empty/inner.txt"));
    IS(rename("/data/empty", "/data/full") == 0);
    IS(rename("/data/a.txt", "/data/a.txt") == 0 && exists("/data/a.txt"));

    // An existing file is replaced.
    close(open("/data/moved.txt", O_WRONLY | O_CREAT, 0600));
    IS(rename("/data/a.txt", "/data/moved.txt") == 0 && !exists("/data/a.txt"));
}

static void unlinking(void) {
    FAILS(unlink("/data/none"), ENOENT);
    // POSIX allows EPERM only; Linux gives EISDIR, and wasi-libc passes it on.
    FAILS(unlink("/data/full"), EISDIR);

    // A file lives on while it is open.
    int fd = open("/data/gone", O_RDWR | O_CREAT, 0600);
    IS(write(fd, "here", 4) == 4);
    IS(unlink("/data/gone") == 0 && !exists("/data/gone"));
    char bytes[4];
    IS(pread(fd, bytes, 4, 0) == 4 && memcmp(bytes, "here", 4) == 0);
    struct stat about;
    IS(fstat(fd, &about) == 0 && about.st_nlink == 0);
    close(fd);
}

static void linking(void) {
    struct stat file, link_itself, target;
    IS(link("/data/moved.txt", "/data/hard") == 0);
    IS(stat("/data/moved.txt", &file) == 0 && stat("/data/hard", &target) == 0);
    IS(file.st_ino == target.st_ino && file.st_nlink == 2);
    FAILS(link("/data/moved.txt", "/data/hard"), EEXIST);
    FAILS(link("/data/none", "/data/hard2"), ENOENT);
    IS(unlink("/data/hard") == 0);

    IS(symlink("moved.txt", "/data/soft") == 0);
    FAILS(symlink("x", "/data/soft"), EEXIST);
    IS(lstat("/data/soft", &link_itself) == 0 && S_ISLNK(link_itself.st_mode));
    IS(stat("/data/soft", &target) == 0 && target.st_ino == file.st_ino);
    char text[64] = {0};
    IS(readlink("/data/soft", text, sizeof text) == 9 && strcmp(text, "moved.txt") == 0);
    IS(readlink("/data/soft", text, 3) == 3);
    FAILS(readlink("/data/moved.txt", text, sizeof text), EINVAL);
    FAILS(open("/data/soft", O_RDONLY | O_NOFOLLOW), ELOOP);
    FAILS(open("/data/soft", O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
    int fd = open("/data/soft", O_RDONLY);
    IS(fd >= 0 && read(fd, text, 1) == 1 && text[0] == 'a');
    close(fd);
    IS(unlink("/data/soft") == 0 && exists("/data/moved.txt"));

    IS(symlink("none", "/data/dangling") == 0);
    FAILS(open("/data/dangling", O_RDONLY), ENOENT);
    IS(symlink("loop", "/data/loop") == 0);
    FAILS(open("/data/loop", O_RDONLY), ELOOP);
    FAILS(stat("/data/loop", &file), ELOOP);
    IS(symlink("full", "/data/way") == 0 && exists("/data/way/inner.txt"));
}

static void reading(void) {
    IS(mkdir("/data/many", 0700) == 0);
    enum { COUNT = 1500 };
    char path[64];
    for (int i = 0; i < COUNT; i++) {
        snprintf(path, sizeof path, "/data/many/entry-%d", i);
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (fd < 0 || close(fd) != 0) {
            IS(!"create");
            return;
        }
    }
    static char seen[COUNT];
    int dot = 0, dot_dot = 0, others = 0;
    DIR *directory = opendir("/data/many");
    IS(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory));) {
        int number;
        if (strcmp(entry->d_name, ".") == 0)
            dot++;
        else if (strcmp(entry->d_name, "..") == 0)
            dot_dot++;
        else if (sscanf(entry->d_name, "entry-%d", &number) == 1 && number >= 0 && number < COUNT)
            seen[number]++;
        else
            others++;
    }
    IS(closedir(directory) == 0);
    int once = 0;
    for (int i = 0; i < COUNT; i++)
        once += seen[i] == 1;
    // POSIX leaves `.` and `..` to the system; Wasmtime's host gives both for WASI 0.1.
    IS(once == COUNT && dot == 1 && dot_dot == 1 && others == 0);
    errno = 0;
    IS(opendir("/data/moved.txt") == NULL && errno == ENOTDIR);
}

static void long_names(void) {
    char path[NAME_MAX + 32] = "/data/";
    memset(path + 6, 'n', NAME_MAX);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    IS(fd >= 0 && close(fd) == 0 && unlink(path) == 0);
    path[6 + NAME_MAX] = 'n';
    FAILS(open(path, O_WRONLY | O_CREAT, 0600), ENAMETOOLONG);
    FAILS(mkdir(path, 0700), ENAMETOOLONG);
    FAILS(rename("/data/moved.txt", path), ENAMETOOLONG);
}

int main(void) {
    directories();
    renaming();
    unlinking();
    linking();
    reading();
    long_names();
    return broken;
}
