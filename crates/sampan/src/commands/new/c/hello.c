// Answers one request as a CGI program does (RFC 3875): the request is in environment variables and on standard
// input, the response goes to standard output. What goes to standard error is the function's log.

#include <stdio.h>
#include <stdlib.h>

int main(void) {
    const char *method = getenv("REQUEST_METHOD");
    const char *path = getenv("PATH_INFO");
    fprintf(stderr, "%s %s\n", method ? method : "GET", path ? path : "/");

    printf("Content-Type: text/plain; charset=utf-8\n\n");
    printf("Hello from %s\n", path ? path : "/");
    return 0;
}
