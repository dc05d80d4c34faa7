// SPDX-License-Identifier: Apache-2.0
// Traffic with a server, from inside a sandbox. Static. usage: traffic ADDRESS PORT [BYTES]
// Sends so many bytes, or takes all that come; returns when the other side has closed.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[256 * 1024];

static int send_all(int fd, unsigned long long left)
{
    while (left > 0) {
        ssize_t put = write(fd, buffer, left < sizeof(buffer) ? (size_t)left : sizeof(buffer));
        if (put <= 0)
            return 1;
        left -= (unsigned long long)put;
    }
    return shutdown(fd, SHUT_WR) < 0;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((unsigned short)atoi(argv[2])),
                                  .sin_addr = {.s_addr = inet_addr(argv[1])}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return 1;
    if (argc > 3 && send_all(fd, strtoull(argv[3], NULL, 10)))
        return 1;
    ssize_t got;
    while ((got = read(fd, buffer, sizeof(buffer))) > 0)
        ;
    return got < 0;
}
