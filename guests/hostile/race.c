// While the host swaps the directory `swap` and a link to the outside, what is done through `swap` stays within.
//
// sampan: --dir $DIR:/data
// file swap/secret.txt: harmless
// host: swap
// exit: 0
// tries: to use the moment between the check of a path and its use, while a directory becomes a link to the outside and back
// must: every call meets the directory or is refused; both happened, or the attack was none
#include "../c/expect.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROUNDS = 4000, ROUNDS_MAX = 4000000 };

int main(void) {
    int opened = 0, refused = 0;
    for (int round = 0; round < ROUNDS || ((!opened || !refused) && round < ROUNDS_MAX); round++) {
        int fd = open("/data/swap/secret.txt", O_RDONLY);
        if (fd < 0) {
            refused++;
            continue;
        }
        opened++;
        char text[32] = {0};
        IS(read(fd, text, sizeof text - 1) == 9 && strcmp(text, "harmless\n") == 0);
        close(fd);
    }
    // Both states of the swap were met, or nothing was tested.
    IS(opened && refused);

    // None of these may touch what is outside; there, the driver looks afterwards.
    for (int round = 0; round < ROUNDS / 4; round++) {
        struct stat about;
        int fd = open("/data/swap/planted", O_WRONLY | O_CREAT, 0600);
        if (fd >= 0)
            close(fd);
        unlink("/data/swap/planted");
        if (mkdir("/data/swap/made", 0700) == 0)
            rmdir("/data/swap/made");
        symlink("x", "/data/swap/soft");
        unlink("/data/swap/soft");
        if (rename("/data/swap/secret.txt", "/data/swap/moved") == 0)
            rename("/data/swap/moved", "/data/swap/secret.txt");
        if (stat("/data/swap/secret.txt", &about) == 0)
            IS(about.st_size == 9);
    }
    return broken;
}
