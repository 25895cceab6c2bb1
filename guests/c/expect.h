// What the guests of the behaviour suite share: a promise is checked, a broken one is named, and the exit code tells.
#pragma once
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int broken;

// The promise holds.
#define IS(promise)                                                                                          \
    do {                                                                                                     \
        errno = 0;                                                                                           \
        if (!(promise)) {                                                                                    \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE_NAME__, __LINE__, #promise, strerror(errno));         \
            broken = 1;                                                                                      \
        }                                                                                                    \
    } while (0)

// The call returns -1 and sets errno.
#define FAILS(call, error)                                                                                   \
    do {                                                                                                     \
        errno = 0;                                                                                           \
        long returned = (long)(call);                                                                        \
        if (returned != -1 || errno != (error)) {                                                            \
            fprintf(stderr, "%s:%d: %s returned %ld (%s), not %s\n", __FILE_NAME__, __LINE__, #call,          \
                    returned, strerror(errno), #error);                                                      \
            broken = 1;                                                                                      \
        }                                                                                                    \
    } while (0)
