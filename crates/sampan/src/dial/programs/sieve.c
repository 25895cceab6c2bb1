// Reads standard input to its end, then counts the primes below four million, three times, and prints how many.
// `sieve.wat` does the same.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LIMIT = 4000000 };

static unsigned char sieve[LIMIT];

__attribute__((noinline)) static unsigned count(void) {
    unsigned primes = 0;
    memset(sieve, 0, LIMIT);
    for (unsigned n = 2; n < LIMIT; n++)
        if (!sieve[n]) {
            primes++;
            for (unsigned multiple = 2 * n; multiple < LIMIT; multiple += n)
                sieve[multiple] = 1;
        }
    return primes;
}

int main(void) {
    char buffer[4096];
    while (read(0, buffer, sizeof buffer) > 0)
        ;
    count();
    count();
    printf("%u\n", count());
    return 0;
}
