// SPDX-License-Identifier: Apache-2.0
// A static cat of one file, the same inside and outside of a sandbox. Reads as coreutils' cat does.
#include <fcntl.h>
#include <unistd.h>

static char buffer[128 * 1024];

int main(int argc, char **argv)
{
    int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
    ssize_t got;
    while ((got = read(fd, buffer, sizeof(buffer))) > 0) {
        for (ssize_t done = 0; done < got;) {
            ssize_t put = write(1, buffer + done, (size_t)(got - done));
            if (put < 0)
                return 1;
            done += put;
        }
    }
    return got < 0;
}
