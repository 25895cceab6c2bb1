// A bug of the kind that made history: it answers with as many bytes as the request says that it has.

#include <stdint.h>
#include <string.h>

__attribute__((export_name("heartbeat")))
int heartbeat(const unsigned char *request, unsigned char *answer) {
    uint32_t length;
    memcpy(&length, request, sizeof length);
    memcpy(answer, request + sizeof length, length);
    return (int)length;
}
