// Whoever starts sampan may have left files open, without the mark that closes them for another program.
//
// tries: to use descriptors 3 to 1023, of which the host left some open on a secret, to read, write, move and close them
// must: every call fails with EBADF: a program's numbers are its own
// through: exec 3<../out/secret.txt 4<>../out/secret.txt 5<../out 9<>../out/secret.txt; exec "$@"
// exit: 0
// stdout: 1021 descriptors, none open
// case: nothing granted
// case: beside a grant, which is number 3 and has nothing of the host's number 3
// sampan: --dir $DIR:/data
// args: granted
// stdout: 3 is the directory that was granted
#include "../c/expect.h"
#include <wasi/api.h>

enum { FIRST = 3, LAST = 1023 };

static int open_count;

static void closed(int fd, const char *what, __wasi_errno_t error) {
    if (error == __WASI_ERRNO_BADF)
        return;
    printf("%s of %d: %d\n", what, fd, error);
    open_count++;
}

int main(int count, char **args) {
    (void)args;
    int first = FIRST;
    __wasi_fdstat_t about;
    if (count > 1)
        first++;
    for (int fd = first; fd <= LAST; fd++) {
        char bytes[32];
        __wasi_iovec_t into = {(uint8_t *)bytes, sizeof bytes};
        __wasi_ciovec_t from = {(const uint8_t *)"stolen", 6};
        __wasi_size_t done;
        __wasi_filesize_t at;
        __wasi_filestat_t stat;
        __wasi_fd_t opened;
        __wasi_roflags_t flags;
        closed(fd, "fdstat", __wasi_fd_fdstat_get(fd, &about));
        closed(fd, "filestat", __wasi_fd_filestat_get(fd, &stat));
        closed(fd, "read", __wasi_fd_read(fd, &into, 1, &done));
        closed(fd, "pread", __wasi_fd_pread(fd, &into, 1, 0, &done));
        closed(fd, "write", __wasi_fd_write(fd, &from, 1, &done));
        closed(fd, "pwrite", __wasi_fd_pwrite(fd, &from, 1, 0, &done));
        closed(fd, "seek", __wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
        closed(fd, "set_size", __wasi_fd_filestat_set_size(fd, 0));
        closed(fd, "readdir", __wasi_fd_readdir(fd, (uint8_t *)bytes, sizeof bytes, 0, &done));
        closed(fd, "open", __wasi_path_open(fd, 0, "secret.txt", 0, __WASI_RIGHTS_FD_READ, 0, 0, &opened));
        closed(fd, "recv", __wasi_sock_recv(fd, &into, 1, 0, &done, &flags));
        closed(fd, "renumber", __wasi_fd_renumber(fd, 0));
        closed(fd, "close", __wasi_fd_close(fd));
    }
    printf("%d descriptors, %s\n", LAST - FIRST + 1, open_count ? "some open" : "none open");
    if (count > 1) {
        IS(__wasi_fd_fdstat_get(FIRST, &about) == 0 && about.fs_filetype == __WASI_FILETYPE_DIRECTORY);
        printf("%d is the directory that was granted\n", FIRST);
    }
    return broken || open_count;
}
