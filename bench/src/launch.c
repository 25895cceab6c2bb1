// `launch PROGRAM [ARGS]…` runs a program and says, in one last line on standard output, how it ended and what it
// used: exit status, wall time in ns, user and system time in us, peak memory in KiB.
//
// Static C, because a process starts with the peak memory of the one that started it.
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static long long us(struct timeval time) { return time.tv_sec * 1000000LL + time.tv_usec; }

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    long long start = now_ns();
    pid_t child = vfork();
    if (child == 0) {
        execv(argv[1], argv + 1);
        _exit(127);
    }
    int status;
    struct rusage used;
    if (child < 0 || wait4(child, &status, 0, &used) != child)
        return 1;
    long long wall = now_ns() - start;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    printf("%d %lld %lld %ld\n", code, wall, us(used.ru_utime) + us(used.ru_stime), used.ru_maxrss);
    return 0;
}
