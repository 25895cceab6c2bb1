// Clocks, sleeping and waiting.
//
// source: POSIX.1-2024 clock_gettime, nanosleep, poll; WASI 0.1 clock_time_get, poll_oneoff
// case: clocks
// args: clocks
// exit: 0
// case: no sleep is shorter than asked
// args: sleep
// exit: 0
// case: a wait for input ends at its time when none comes
// args: wait
// host: hold-stdin
// exit: 0
// stdout: timeout
// case: a wait for input ends when some comes
// args: wait-long
// stdin: here
// exit: 0
// stdout: here
// case: a wait for input ends when the input does
// args: wait-long
// exit: 0
// stdout: end
// case: what can be written is not waited for
// args: write
// exit: 0
// stdout: ready
#include "expect.h"
#include <poll.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

static int64_t now(clockid_t clock) {
    struct timespec time;
    IS(clock_gettime(clock, &time) == 0);
    IS(time.tv_nsec >= 0 && time.tv_nsec < 1000000000);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void clocks(void) {
    struct timespec resolution;
    IS(clock_getres(CLOCK_MONOTONIC, &resolution) == 0 && resolution.tv_sec + resolution.tv_nsec > 0);
    IS(clock_getres(CLOCK_REALTIME, &resolution) == 0 && resolution.tv_sec + resolution.tv_nsec > 0);
    int64_t last = now(CLOCK_MONOTONIC), first = last;
    for (int i = 0; i < 20000; i++) {
        int64_t next = now(CLOCK_MONOTONIC);
        IS(next >= last);
        last = next;
    }
    IS(last > first);
    // Between 2025 and 2100.
    IS(now(CLOCK_REALTIME) / 1000000000 > 1735689600 && now(CLOCK_REALTIME) / 1000000000 < 4102444800);
}

static void sleeping(void) {
    const int64_t lengths[] = {0, 1000, 1000000, 30000000};
    for (int i = 0; i < 4; i++) {
        struct timespec length = {0, lengths[i]};
        int64_t begin = now(CLOCK_MONOTONIC);
        IS(nanosleep(&length, NULL) == 0);
        IS(now(CLOCK_MONOTONIC) - begin >= lengths[i]);
    }
    struct timespec until;
    IS(clock_gettime(CLOCK_REALTIME, &until) == 0);
    int64_t wanted = (int64_t)until.tv_sec * 1000000000 + until.tv_nsec + 20000000;
    until.tv_sec = wanted / 1000000000, until.tv_nsec = wanted % 1000000000;
    IS(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL) == 0);
    IS(now(CLOCK_REALTIME) >= wanted);
}

static void wait_for_input(int milliseconds) {
    struct pollfd stream = {.fd = 0, .events = POLLIN};
    int64_t begin = now(CLOCK_MONOTONIC);
    int ready = poll(&stream, 1, milliseconds);
    IS(ready >= 0);
    if (ready == 0) {
        IS(now(CLOCK_MONOTONIC) - begin >= milliseconds * INT64_C(1000000));
        puts("timeout");
        return;
    }
    char text[16] = {0};
    ssize_t count = read(0, text, sizeof text - 1);
    if (count == 0)
        puts("end");
    else
        fputs(text, stdout);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "clocks") == 0)
        clocks();
    else if (strcmp(what, "sleep") == 0)
        sleeping();
    else if (strcmp(what, "wait") == 0)
        wait_for_input(40);
    else if (strcmp(what, "wait-long") == 0)
        wait_for_input(60000);
    else if (strcmp(what, "write") == 0) {
        struct pollfd stream = {.fd = 1, .events = POLLOUT};
        IS(poll(&stream, 1, 60000) == 1 && (stream.revents & POLLOUT));
        puts("ready");
    } else
        return 99;
    return broken;
}
