// Files and directories without end. What bounds the bytes that a program writes is the file system that it was granted, by
// its size or a quota: that knows of all writers.
//
// tries: to use up the host's open files by opening one, or a directory, over and over, and to fill a disk
// must: at its limit of handles the program ends; on a full disk it is told so, and the host goes on; a file of 2^62 bytes takes none
// case: a file, over and over
// sampan: --dir $DIR:/data
// args: files
// exit: 1
// stderr~: reached its limit of 1024 open files and other host resources
// case: a directory, over and over
// sampan: --dir $DIR:/data
// args: directories
// exit: 1
// stderr~: reached its limit of 1024 open files and other host resources
// case: a limit of its own
// sampan: --dir $DIR:/data -O handles=64
// args: files
// exit: 1
// stderr~: reached its limit of 64 open files and other host resources
// case: a disk of a megabyte
// sampan: --dir $DIR/disk:/data
// file disk/placeholder: x
// through: unshare -rm sh -c 'mount -t tmpfs -o size=1M none disk && exec "$@"' sh "$@"
// args: disk
// exit: 0
// stdout: the disk is full after 1 MiB
// case: a file that only says that it is large
// sampan: --dir $DIR:/data
// args: sparse
// exit: 0
// stdout: set
#include "../c/expect.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void without_end(int flags, const char *path) {
    while (open(path, flags, 0600) >= 0)
        ;
    perror("the host said no");
}

static void disk(void) {
    static char block[65536];
    long written = 0;
    int fd = open("/data/file", O_WRONLY | O_CREAT, 0600);
    for (;;) {
        long more = write(fd, block, sizeof block);
        if (more < 0)
            break;
        written += more;
    }
    int why = errno;
    IS(why == ENOSPC);
    // A file system keeps some of it for itself.
    IS(written > 512 << 10 && written <= 1 << 20);
    IS(close(fd) == 0 && unlink("/data/file") == 0);
    printf("the disk is full after 1 MiB\n");
}

static void sparse(void) {
    int fd = open("/data/file", O_RDWR | O_CREAT, 0600);
    struct stat about;
    // Some file systems have no file that large, and say so.
    int set = ftruncate(fd, 1ll << 62), why = errno;
    if (set == 0)
        IS(fstat(fd, &about) == 0 && about.st_size == 1ll << 62);
    else
        IS(why == EFBIG || why == EINVAL);
    IS(unlink("/data/file") == 0);
    printf("set\n");
}

int main(int count, char **args) {
    if (count > 1 && strcmp(args[1], "files") == 0)
        without_end(O_RDWR | O_CREAT, "/data/file");
    else if (count > 1 && strcmp(args[1], "directories") == 0)
        without_end(O_RDONLY | O_DIRECTORY, "/data");
    else if (count > 1 && strcmp(args[1], "disk") == 0)
        disk();
    else
        sparse();
    return broken;
}
