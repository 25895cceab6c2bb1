// The least a command can do: what starting a program costs.
#include <stdio.h>

int main(void) {
    puts("hello");
    return 0;
}
