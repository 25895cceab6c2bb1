// Prints `hello`, and its arguments if there are any.
//
// args: big world
// exit: 0
// stdout: hello big world
// source: C11 5.1.2.2.1, main; ISO C printf
#include <stdio.h>

int main(int argc, char **argv) {
    printf("hello");
    for (int i = 1; i < argc; i++)
        printf(" %s", argv[i]);
    printf("\n");
    return 0;
}
