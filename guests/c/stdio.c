// The three standard streams.
//
// source: POSIX.1-2024 read, write, isatty; WASI 0.1 fd_read, fd_write
// case: a line comes back before the next is sent
// args: lines
// host: line-by-line
// stdin: first
// stdin: second
// stdin: third
// exit: 0
// stdout: first
// stdout: second
// stdout: third
// case: input at its end is read as no bytes, again and again
// args: end
// exit: 0
// case: one mebibyte of any bytes passes through
// args: copy
// stdin-bytes: 1048576
// exit: 0
// stdout-is-stdin:
// case: stderr is apart from stdout
// args: apart
// exit: 0
// stdout: for the reader
// stderr~: for the user
// case: a pipe is no terminal
// args: terminal
// exit: 0
// case: a closed stdout ends the program as it ends a native one
// args: forever
// host: close-stdout
// signal: PIPE
// stdout: y
// source: POSIX.1-2024 write: SIGPIPE on a pipe without a reader; WASI 0.1 has no signals, and the host's applies
// case: interrupted while it waits for input
// args: lines-after-hello
// host: interrupt
// signal: INT
// stdout: hello
// source: POSIX.1-2024 signal.h: the default action of SIGINT and SIGTERM ends the process
// case: interrupted while it computes
// args: spin-after-hello
// host: interrupt
// signal: INT
// stdout: hello
// case: terminated while it computes
// args: spin-after-hello
// host: terminate
// signal: TERM
// stdout: hello
#include "expect.h"
#include <stdlib.h>
#include <unistd.h>

static int lines(void) {
    char line[256];
    while (fgets(line, sizeof line, stdin)) {
        fputs(line, stdout);
        fflush(stdout);
    }
    return ferror(stdin);
}

static int copy(void) {
    static char buffer[70000];
    ssize_t count;
    while ((count = read(0, buffer, sizeof buffer)) > 0)
        for (ssize_t done = 0; done < count;) {
            ssize_t written = write(1, buffer + done, count - done);
            if (written <= 0)
                return 1;
            done += written;
        }
    return count != 0;
}

static void hello(void) {
    puts("hello");
    fflush(stdout);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "lines") == 0)
        return lines();
    if (strcmp(what, "copy") == 0)
        return copy();
    if (strcmp(what, "end") == 0) {
        char byte;
        for (int i = 0; i < 3; i++)
            IS(read(0, &byte, 1) == 0);
    } else if (strcmp(what, "apart") == 0) {
        fputs("for the user\n", stderr);
        fputs("for the reader\n", stdout);
    } else if (strcmp(what, "terminal") == 0) {
        for (int fd = 0; fd <= 2; fd++) {
            IS(isatty(fd) == 0);
            isatty(fd);
            IS((isatty(fd), errno == ENOTTY));
        }
    } else if (strcmp(what, "forever") == 0) {
        for (;;)
            if (puts("y") < 0 || fflush(stdout) != 0)
                return 9;
    } else if (strcmp(what, "lines-after-hello") == 0) {
        hello();
        return lines();
    } else if (strcmp(what, "spin-after-hello") == 0) {
        hello();
        for (volatile int i = 0;; i++)
            ;
    } else {
        return 99;
    }
    return broken;
}
