// SPDX-License-Identifier: Apache-2.0
// A scripted agent on a real socket: one function plays each connection that the library opens.
#pragma once

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/box.h"
#include "scratch.h"
#include "wire/agent_msg.h"
#include "wire/monitor_msg.h"

struct fake;
typedef void (*fake_script)(struct fake *fake, int fd);

struct fake {
    fake_script script;
    const void *data; // for the script
    size_t size;
    int number;
    int dir_fd, listen_fd, stop[2];
    pthread_t thread;
    char path[64];
    struct frame_in in; // of the connection being played
    int fds[FRAME_FDS_MAX];
    int connections;
};

static const struct deadline fake_patience = {.at_ms = DEADLINE_NEVER};

static inline int fake_receive(struct fake *fake, int fd, struct frame *frame)
{
    if (frame_receive(fd, &fake->in, fake_patience, frame, NULL) < 0)
        return -1;
    size_t first = frame->fd_count == 2; // no input: stdout and stderr keep their places
    for (size_t i = 0; i < frame->fd_count; i++)
        fake->fds[first + i] = frame->fds[i];
    return (int)frame->type;
}

static inline void fake_send(int fd, uint32_t type, const void *data, size_t size)
{
    (void)frame_send(fd, type, data, size, NULL, 0, fake_patience, NULL);
}

static inline void fake_send_buf(int fd, uint32_t type, struct buf *payload)
{
    fake_send(fd, type, payload->data, payload->size);
    payload->size = 0;
}

static inline void fake_started(int fd, uint32_t pid)
{
    cleanup_buf struct buf out = BUF_INIT(64);
    wire_put_u32(&out, pid);
    fake_send_buf(fd, AGENT_STARTED, &out);
}

static inline void fake_exit(int fd, uint32_t code, uint32_t signal, uint32_t flags)
{
    cleanup_buf struct buf out = BUF_INIT(64);
    wire_put_u32(&out, code);
    wire_put_u32(&out, signal);
    wire_put_u32(&out, flags);
    wire_put_u64(&out, 1234);
    fake_send_buf(fd, AGENT_EXIT, &out);
}

static inline void fake_output(int fd, uint32_t stream, const void *data, size_t size)
{
    cleanup_buf struct buf out = BUF_INIT(FRAME_PAYLOAD_MAX);
    wire_put_u32(&out, stream);
    buf_add(&out, data, size);
    fake_send_buf(fd, AGENT_OUTPUT, &out);
}

// Until the library closes the connection, or the test ends.
static inline void fake_linger(struct fake *fake, int fd)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = fake->stop[0], .events = POLLIN}};
    char junk[65536];
    while (poll(fds, 2, -1) >= 0 && !fds[1].revents)
        if (recv(fd, junk, sizeof(junk), 0) <= 0)
            return;
}

static inline void *fake_run(void *argument)
{
    struct fake *fake = argument;
    struct pollfd fds[2] = {{.fd = fake->listen_fd, .events = POLLIN},
                            {.fd = fake->stop[0], .events = POLLIN}};
    while (poll(fds, 2, -1) >= 0 && !fds[1].revents) {
        int fd = accept4(fake->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        fake->connections++;
        frame_in_init(&fake->in);
        for (int i = 0; i < FRAME_FDS_MAX; i++)
            fake->fds[i] = -1;
        fake->script(fake, fd);
        for (int i = 0; i < FRAME_FDS_MAX; i++)
            cleanup_fd_fn(&fake->fds[i]);
        frame_in_deinit(&fake->in);
        close(fd);
    }
    return NULL;
}

// The box that the library sees; NULL on failure.
static inline struct box *fake_start(struct fake *fake, fake_script script)
{
    *fake = (struct fake){.script = script, .path = "/tmp/sandboxes-test-XXXXXX"};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!mkdtemp(fake->path) || pipe(fake->stop) < 0)
        return NULL;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/agent", fake->path);
    fake->dir_fd = open(fake->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fake->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fake->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fake->listen_fd, 8) < 0 || pthread_create(&fake->thread, NULL, fake_run, fake) != 0)
        return NULL;
    struct box *box = box_new("sb-aaaaaaaaaaaa", fcntl(fake->dir_fd, F_DUPFD_CLOEXEC, 0));
    box->oom_kills = 0; // there is no monitor to ask
    return box;
}

static inline void fake_stop(struct fake *fake)
{
    (void)!write(fake->stop[1], "", 1);
    pthread_join(fake->thread, NULL);
    close(fake->listen_fd);
    close(fake->dir_fd);
    close(fake->stop[0]);
    close(fake->stop[1]);
    tree_remove(AT_FDCWD, fake->path);
}

static inline int count_fds(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}
