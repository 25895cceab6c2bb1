// What `escape` leaves out: paths that are no paths, links into `/proc`, directories that are held open and moved, and a
// grant for reading beside one for writing.
//
// tries: to leave by NULs, lengths, slashes, `/proc`'s own links, an open directory that was moved, and to write by another name to what may only be read
// must: every call fails, and the two grants stay apart
// sampan: --dir $DIR:/data --dir $DIR/kept:/kept:ro
// file kept/file: as it was
// file sub/deep/x: x
// link to-root: /proc/self/root
// link to-cwd: /proc/self/cwd
// link to-descriptor: /proc/self/fd/3
// link loop: loop
// exit: 0
// after kept/file: as it was
// case: a grant of a directory
// stdout: 28 ways, none led out
// case: a grant of /proc, for reading
// sampan: --dir /proc:/proc:ro
// args: proc
// stdout: 8 links of the kernel, none led out
#include "../c/expect.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wasi/api.h>

enum { DATA = 3, LONG = 70000 };

static int tried, through;

static void refused(int dir, const char *path, size_t length) {
    // wasi-libc ends a path at its first zero, so the host is asked by hand.
    __attribute__((import_module("wasi_snapshot_preview1"), import_name("path_open"))) extern int open_raw(
        int, int, const char *, size_t, int, long long, long long, int, int *);
    int fd;
    tried++;
    if (open_raw(dir, 1, path, length, 0, __WASI_RIGHTS_FD_READ, 0, 0, &fd) == 0) {
        printf("`%.*s` led somewhere\n", (int)length, path);
        through++;
    }
}

static void refused_text(const char *path) { refused(DATA, path, strlen(path)); }

static void kernel_links(void) {
    // `self` and `cwd` lead to the process of the host: its root, its directory, its open files.
    static const char *const links[] = {"self/root" "/etc/passwd", "self/cwd/inside.txt", "self/fd/0", "self/fd/1",
                                        "self/fd/3", "self/exe", "thread-self/root" "/etc/passwd", "1/root" "/etc/passwd"};
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        refused(5, links[i], strlen(links[i]));
    printf("%d links of the kernel, %s\n", tried, through ? "some led out" : "none led out");
}

int main(int count, char **args) {
    (void)args;
    static const char zero[] = "kept\0/../../out/secret.txt";
    refused(DATA, zero, sizeof zero - 1);
    refused(DATA, "\0", 1);
    refused(DATA, "to-root\0", 8);
    refused_text("");
    refused_text("/");
    refused_text("//");
    refused_text("kept/file/");
    refused_text("kept/file/.");
    refused_text("kept/file/..");
    refused_text("to-root/etc/passwd");
    refused_text("to-root");
    refused_text("to-cwd/../out/secret.txt");
    refused_text("to-cwd");
    refused_text("to-descriptor/../out/secret.txt");
    refused_text("loop");
    refused_text("loop/x");
    refused_text("\xff\xfe/..");
    refused_text("..\\out\\secret.txt");
    refused_text("C:/");
    refused_text("/proc/self/root" "/etc/passwd");
    refused_text("/dev/mem");
    refused_text("./../../../../../../../../../../proc/1/environ");
    char *path = malloc(LONG);
    for (size_t i = 0; i + 3 <= LONG; i += 3)
        memcpy(path + i, "../", 3);
    refused(DATA, path, LONG - LONG % 3);
    memset(path, 'x', LONG);
    refused(DATA, path, LONG);
    memset(path, '/', LONG);
    refused(DATA, path, LONG);

    // A directory that is held open, and put one level higher: its `..` is another one now.
    int deep = open("/data/sub/deep", O_RDONLY | O_DIRECTORY);
    IS(deep >= 0 && rename("/data/sub/deep", "/data/deep") == 0);
    refused(deep, "../../out/secret.txt", 20);
    refused(deep, "..", 2);
    refused(deep, "../kept/file", 12);
    if (count == 1)
        printf("%d ways, %s\n", tried, through ? "some led out" : "none led out");

    // What may only be read here may be written there: that is what was granted. But nothing carries over.
    int kept = open("/kept/file", O_RDONLY);
    IS(kept >= 0 && write(kept, "x", 1) == -1 && ftruncate(kept, 0) == -1);
    IS(open("/kept/../kept/file", O_WRONLY) == -1);
    IS(rename("/kept/file", "/data/file") == -1);
    IS(link("/kept/file", "/data/hard") == -1);
    IS(rename("/data/deep", "/kept/deep") == -1);
    IS(symlink("../kept", "/data/sub/way") == 0 && open("/kept/new", O_WRONLY | O_CREAT, 0600) == -1);
    if (count > 1) {
        tried = 0;
        kernel_links();
    }
    return broken || through;
}
