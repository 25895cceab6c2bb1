// What a program is told when it starts, and the exit code with which it ends.
//
// source: POSIX.1-2024 exec, exit; WASI 0.1 args_get, environ_get, proc_exit
// case: no arguments: the program's own name, and no environment
// exit: 0
// stdout: [args.wasm]
// case: arguments keep their spaces, order and emptiness
// args: one "two three" "" -x --dir
// exit: 0
// stdout: [args.wasm]
// stdout: [one]
// stdout: [two three]
// stdout: []
// stdout: [-x]
// stdout: [--dir]
// case: text beyond ASCII
// args: grüße 船
// exit: 0
// stdout: [args.wasm]
// stdout: [grüße]
// stdout: [船]
// case: only the granted environment, one value passed on from outside
// sampan: --env A=1 --env "B=two = 2" --env EMPTY= --env FROM_OUTSIDE
// exit: 0
// stdout: [args.wasm]
// stdout: A=1
// stdout: B=two = 2
// stdout: EMPTY=
// stdout: FROM_OUTSIDE=passed on
// case: exit 7
// args: exit 7
// exit: 7
// case: exit 255
// args: exit 255
// exit: 255
// case: exit 126
// args: exit 126
// exit: 126
// case: of an exit status the low eight bits reach the parent
// args: exit 256
// exit: 0
// case: abort is no exit
// profile: dense portable sealed
// args: abort
// exit: 1
// stderr~: args.wasm` trapped
// stderr~: at abort
// stderr~: profile:
// source: POSIX.1-2024 abort: the program ends abnormally; a module can only trap
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "exit") == 0)
        exit(atoi(argv[2]));
    if (argc == 2 && strcmp(argv[1], "abort") == 0)
        abort();
    for (int i = 0; i < argc; i++)
        printf("[%s]\n", argv[i]);
    for (char **variable = environ; *variable; variable++)
        printf("%s\n", *variable);
    return 0;
}
