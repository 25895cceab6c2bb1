// Which directories a program finds.
//
// source: WASI 0.1 fd_prestat_get; DESIGN: nothing is granted by default, and a denied call names its grant
// case: none: a look for any file fails, and the end names the grant
// args: open /data/in.txt
// exit: 1
// stdout: open /data/in.txt: No such file or directory
// stderr~: hint: it was granted no directory for its files; `--dir HOST[:GUEST]` grants it
// case: none: a program that needs no files is not told of them
// args: nothing
// exit: 3
// case: none: and one that copes is not either
// args: try /data/in.txt
// exit: 0
// stdout: open /data/in.txt: No such file or directory
// case: the directory under its own name
// sampan: --dir $DIR
// file in.txt: content
// args: open $DIR/in.txt
// exit: 0
// stdout: open $DIR/in.txt: content
// case: the current directory
// sampan: --dir .
// file in.txt: content
// args: open in.txt
// exit: 0
// stdout: open in.txt: content
// case: two at once
// sampan: --dir $DIR/a:/one --dir $DIR/b:/two:ro
// file a/in.txt: from a
// file b/in.txt: from b
// args: open /one/in.txt open /two/in.txt make /one/new fail-make /two/new
// exit: 0
// stdout: open /one/in.txt: from a
// stdout: open /two/in.txt: from b
// stdout: make /one/new
// stdout: fail-make /two/new: Operation not permitted
// after a/new: new
// case: one within the other: the longest name wins, and its rights
// sampan: --dir $DIR:/data --dir $DIR/inner:/data/inner:ro
// file inner/in.txt: content
// args: open /data/inner/in.txt make /data/new fail-make /data/inner/new
// exit: 0
// stdout: open /data/inner/in.txt: content
// stdout: make /data/new
// stdout: fail-make /data/inner/new: Operation not permitted
// after new: new
// case: from one into the other: not where the other is for reading only
// sampan: --dir $DIR/a:/one --dir $DIR/b:/two:ro
// file a/in.txt: from a
// file b/in.txt: from b
// args: fail-move /one/in.txt /two/in.txt fail-move /two/in.txt /one/new fail-link /two/in.txt /one/new
// exit: 0
// stdout: fail-move /one/in.txt: Operation not permitted
// stdout: fail-move /two/in.txt: Operation not permitted
// stdout: fail-link /two/in.txt: Operation not permitted
// after a/in.txt: from a
// after b/in.txt: from b
// case: from one into the other, where both may be written
// profile: dense portable
// sampan: --dir $DIR/a:/one --dir $DIR/b:/two
// file a/in.txt: from a
// file b/other.txt: from b
// args: move /one/in.txt /two/in.txt
// exit: 0
// stdout: move /one/in.txt
// after b/in.txt: from a
// case: from one into the other, where each is a file system of its own
// profile: sealed
// sampan: --dir $DIR/a:/one --dir $DIR/b:/two
// file a/in.txt: from a
// file b/other.txt: from b
// args: fail-move /one/in.txt /two/in.txt
// exit: 0
// stdout: fail-move /one/in.txt: I/O error
// after a/in.txt: from a
// case: a directory that is not there
// sampan: --dir $DIR/none:/data
// args: nothing
// exit: 2
// stderr~: error: cannot open directory `$DIR/none`
// stderr~: cause: no such file or directory
// stderr~: hint: `--dir` takes a directory that is there
// case: a file is no directory
// sampan: --dir $DIR/in.txt:/data
// file in.txt: content
// args: nothing
// exit: 2
// stderr~: error: cannot open directory `$DIR/in.txt`
// stderr~: cause: not a directory
// stderr~: hint:
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int open_and_print(const char *path) {
    char text[64] = {0};
    int fd = open(path, O_RDONLY);
    ssize_t count = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    printf("open %s: %s", path, count < 0 ? strerror(errno) : text);
    if (count < 0)
        printf("\n");
    return count < 0;
}

static int make(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    return fd < 0 || write(fd, "new\n", 4) != 4 || close(fd) != 0;
}

// Says what happened; the result is whether it was other than wanted.
static int report(const char *what, const char *path, int failed) {
    if (failed)
        printf("%s %s: %s\n", what, path, strerror(errno));
    else
        printf("%s %s\n", what, path);
    return (failed != 0) != (strncmp(what, "fail-", 5) == 0);
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        const char *what = argv[i], *path = argv[i + 1];
        if (strcmp(what, "nothing") == 0)
            return 3;
        else if (strcmp(what, "open") == 0)
            failed |= open_and_print(argv[++i]);
        else if (strcmp(what, "try") == 0)
            open_and_print(argv[++i]);
        else if (strstr(what, "make"))
            failed |= report(what, argv[++i], make(path));
        else if (strstr(what, "move"))
            failed |= report(what, path, rename(path, argv[i + 2])), i += 2;
        else if (strstr(what, "link"))
            failed |= report(what, path, link(path, argv[i + 2])), i += 2;
    }
    return failed;
}
