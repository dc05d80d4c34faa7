// SPDX-License-Identifier: Apache-2.0
/*
 * sandboxes-metadata: passes what a task in a sandbox registers on to the metadata service, which
 * the sandbox itself can't reach and whose key it does not have. The task writes the files of
 * Metaflow's local metadata; each file goes out once, soon after it appears, and the task's
 * heartbeats with them.
 *
 * Started by sandboxes-step with DIRECTORY (of the files) and FLOW/RUN/STEP/TASK;
 * METAFLOW_SANDBOX_RELAY_URL and METAFLOW_SANDBOX_RELAY_HEADERS ("name: value" lines) name the
 * service. Standard input ends when the launcher does, however: then the last files are sent. A
 * program of its own because of libcurl. Layer: metaflow.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "metaflow/relay/relay.h"

#define TICK_MS 1000

static bool launcher_lives(int timeout_ms)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char ignored[16];
    return poll(&input, 1, timeout_ms) == 0 || read(STDIN_FILENO, ignored, sizeof(ignored)) > 0;
}

int main(int argc, char **argv)
{
    struct relay relay;
    struct sbx_error err;
    const char *url = getenv("METAFLOW_SANDBOX_RELAY_URL");
    if (argc != 3 || !url) {
        fprintf(stderr, "sandboxes-metadata is started by sandboxes-step\n");
        return 2;
    }
    cleanup_fd int dir_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = relay_open(&relay, url, argv[2], getenv("METAFLOW_SANDBOX_RELAY_HEADERS"), &err);
    for (bool lives = code == 0; lives; lives = launcher_lives(TICK_MS)) {
        relay_send(&relay, dir_fd, &err); // what fails is tried again with the next
        relay_beat(&relay);
    }
    if (code == 0) {
        code = relay_send(&relay, dir_fd, &err);
        relay_close(&relay);
    }
    if (code < 0)
        fprintf(stderr, "Sandbox: metadata of %s did not reach the service: %s\n  try: %s\n",
                argv[2], err.message, err.remedy);
    return code < 0;
}
