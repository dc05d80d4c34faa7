// SPDX-License-Identifier: Apache-2.0
/*
 * sandboxes-vmm: stands where the agent stands in other sandboxes, as process 1 of a jail, and
 * finds the same descriptors (wire/agent_msg.h). It runs QEMU, and carries connections to the
 * agent's socket into the guest and back, as bytes: what it says to the guest ends with
 * GUEST_CONFIG. The guest, and QEMU with it, are hostile; they can end this sandbox and nothing
 * else. Layer: vmm.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "vmm/qemu.h"
#include "vmm/save.h"
#include "vmm/warm.h"
#include "wire/agent_msg.h"
#include "wire/frame.h"
#include "wire/guest_msg.h"

#define BOOT_MS 60000    // for a slow machine and a large kernel
#define KVM_BOOT_MS 5000 // for one that has never run a guest before: then the next way is tried
#define RESTORE_MS 20000
#define LOG_MS 100
#define SAVE_MS 20000
#define TRIAL_MS 5000
#define REST_MS 50
#define ACCEPT_BATCH 16

struct vmm {
    struct mux mux;
    struct machine machine;
    char *config; // agent_config, as it came
    size_t config_size;
    int log_fd;
    char log[512];
    size_t logged;
    bool told;             // CONFIG is on its way: from here on the guest is this sandbox's
    bool greeted;          // the guest says that it is ready
    bool waits;            // to be saved
    struct qemu_ends ends; // what it was started with, but for the port
    int monitor_fd;        // our end
    pid_t pid;             // QEMU
    struct warm warm;
    char failed[256]; // what the guest says of its failure
};

// Instead of the agent's greeting. The library shows it to the user.
static void refuse(struct vmm *vmm, const char *what)
{
    struct sbx_error error;
    cleanup_buf struct buf payload = BUF_INIT(4096);
    const char *why = vmm->failed[0] ? vmm->failed : vmm->log;
    err_set(&error, SBX_ERR_SETUP, "%s%s%s", what, why[0] ? ": " : "", why);
    err_hint(&error, "see what is missing: sandboxes doctor");
    agent_failed_put(&payload, &error);
    (void)frame_send(AGENT_FD_FIRST, AGENT_FAILED, payload.data, payload.size, NULL, 0,
                     deadline_in(1000), NULL);
}

static int read_config(struct vmm *vmm)
{
    char probe;
    ssize_t size = recv(AGENT_FD_MONITOR, &probe, 1, MSG_PEEK | MSG_TRUNC);
    struct agent_config told;
    if (size <= 0 || !(vmm->config = malloc((size_t)size)) ||
        recv(AGENT_FD_MONITOR, vmm->config, (size_t)size, 0) != size ||
        agent_config_get(vmm->config, (size_t)size, &told) < 0)
        return -1;
    vmm->config_size = (size_t)size;
    int code = machine_parse(told.machine, &vmm->machine);
    agent_config_deinit(&told);
    return code;
}

static int make_pair(int *ret_ours, int *ret_theirs)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    *ret_ours = ends[0];
    *ret_theirs = ends[1];
    return 0;
}

// The guest is ours from here on: what it becomes, and the connection on which its agent greets.
static bool send_config(struct vmm *vmm)
{
    vmm->told = true;
    char entropy[GUEST_ENTROPY_SIZE], hostname[65] = "";
    struct timespec now;
    struct rlimit files = {0};
    cleanup_buf struct buf payload = BUF_INIT(FRAME_PAYLOAD_MAX);
    if (getrandom(entropy, sizeof(entropy), 0) != sizeof(entropy))
        return false;
    gethostname(hostname, sizeof(hostname) - 1);
    clock_gettime(CLOCK_REALTIME, &now);
    getrlimit(RLIMIT_NOFILE, &files);
    struct guest_config config = {
        .unix_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
        .entropy = entropy,
        .entropy_size = sizeof(entropy),
        .hostname = hostname,
        .disk_bytes = (uint64_t)vmm->machine.disk_mb << 20,
        .open_files = (uint32_t)files.rlim_cur,
        .processes = vmm->machine.processes,
        .network = vmm->machine.network,
        .agent = vmm->config,
        .agent_size = vmm->config_size,
    };
    guest_config_put(&payload, &config);
    if (payload.failed)
        return false;
    mux_send(&vmm->mux, GUEST_CONFIG, payload.data, payload.size);
    int first, unheard;
    if (vmm->machine.saved != MACHINE_SAVE)
        first = dup(AGENT_FD_FIRST);
    else if (make_pair(&unheard, &first) < 0)
        return false;
    if (first < 0)
        return false;
    mux_add(&vmm->mux, first);
    return true;
}

// From a saved guest it does not come: that has said it before. One that rehearses says it twice.
static bool take_hello(struct vmm *vmm, const void *payload, size_t size)
{
    struct wire_reader in = wire_reader(payload, size);
    if (vmm->waits || wire_u32(&in) != GUEST_PROTOCOL || !wire_end(&in))
        return false;
    if (!vmm->told && (vmm->machine.saved != MACHINE_SAVE || qemu_rehearses(&vmm->machine)))
        return send_config(vmm);
    if (vmm->machine.saved != MACHINE_SAVE)
        return false;
    vmm->waits = true;
    return true;
}

static bool take_message(void *user, uint32_t type, const void *payload, size_t size)
{
    struct vmm *vmm = user;
    if (type == GUEST_HELLO)
        return take_hello(vmm, payload, size);
    if (type == GUEST_READY && vmm->told && size == 0) {
        vmm->greeted = true;
        if (vmm->machine.saved != MACHINE_SAVE)
            warm_wait(&vmm->warm);
        return true;
    }
    if (type == GUEST_FAILED && size < sizeof(vmm->failed)) {
        memcpy(vmm->failed, payload, size); // the rest of it is zero
        refuse(vmm, "the guest did not start");
    }
    return false;
}

static void open_mux(struct vmm *vmm, int port)
{
    mux_init(&vmm->mux, port);
    vmm->mux.user = vmm;
    vmm->mux.message = take_message;
}

static void accept_all(struct vmm *vmm)
{
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd = accept4(AGENT_FD_LISTEN, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        mux_add(&vmm->mux, fd);
    }
}

// What QEMU complains of is kept for the user, its beginning at most. False at its end.
static bool read_log(struct vmm *vmm)
{
    char text[256];
    ssize_t got = read(vmm->log_fd, text, sizeof(text));
    if (got <= 0)
        return got < 0 && errno == EINTR;
    for (ssize_t i = 0; i < got && vmm->logged + 1 < sizeof(vmm->log); i++)
        vmm->log[vmm->logged++] = text[i] == '\n' ? ' ' : text[i];
    return true;
}

// The log of a QEMU that does not answer, if it says anything: it may still live.
static void read_last_words(struct vmm *vmm)
{
    struct pollfd log = {.fd = vmm->log_fd, .events = POLLIN};
    if (poll(&log, 1, LOG_MS) > 0)
        (void)read_log(vmm);
}

static bool monitor_lives(void)
{
    char byte;
    ssize_t got = recv(AGENT_FD_MONITOR, &byte, 1, MSG_DONTWAIT);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

enum { EXTRA_MONITOR, EXTRA_LOG, EXTRA_WARM, EXTRA_LISTEN, EXTRA_COUNT };

static struct deadline boot_deadline(const struct vmm *vmm)
{
    return deadline_in(vmm->told ? RESTORE_MS : vmm->machine.kvm ? KVM_BOOT_MS : BOOT_MS);
}

static void serve(struct vmm *vmm)
{
    struct deadline boot = boot_deadline(vmm);
    for (;;) {
        struct deadline next = vmm->greeted ? vmm->warm.begin : boot;
        struct pollfd extras[EXTRA_COUNT] = {
            [EXTRA_MONITOR] = {.fd = AGENT_FD_MONITOR, .events = POLLIN},
            [EXTRA_LOG] = {.fd = vmm->log_fd, .events = POLLIN},
            [EXTRA_WARM] = {.fd = vmm->warm.fd, .events = POLLIN},
            [EXTRA_LISTEN] = {.fd = AGENT_FD_LISTEN, .events = POLLIN}};
        size_t count = vmm->greeted ? EXTRA_COUNT : EXTRA_LISTEN;
        bool late = !vmm->greeted && deadline_poll_ms(boot) == 0;
        bool over = mux_turn(&vmm->mux, extras, count, deadline_poll_ms(next));
        if (extras[EXTRA_MONITOR].revents && !monitor_lives())
            return;
        if (extras[EXTRA_LOG].revents && !read_log(vmm))
            over = true;
        if ((over || late) && !vmm->greeted)
            refuse(vmm, late ? "the guest did not start in time" : "QEMU ended");
        if (over || late)
            return;
        warm_turn(&vmm->warm, &vmm->mux, extras[EXTRA_WARM].revents);
        if (count == EXTRA_COUNT && extras[EXTRA_LISTEN].revents)
            accept_all(vmm);
    }
}

static int greet(void)
{
    cleanup_buf struct buf payload = BUF_INIT(16);
    wire_put_u32(&payload, AGENT_PROTOCOL);
    return frame_send(AGENT_FD_FIRST, AGENT_READY, payload.data, payload.size, NULL, 0,
                      deadline_in(SAVE_MS), NULL);
}

static int hand_over(const struct vmm *vmm)
{
    const int fds[] = {vmm->ends.memory, vmm->ends.state, vmm->ends.frozen};
    struct frame_in in;
    struct frame request;
    frame_in_init(&in);
    int code = frame_receive(AGENT_FD_FIRST, &in, deadline_in(SAVE_MS), &request, NULL);
    bool asked = code == 0 && request.type == AGENT_GUEST;
    frame_in_deinit(&in);
    return asked ? frame_send(AGENT_FD_FIRST, AGENT_DONE, NULL, 0, fds,
                              ARRAY_SIZE(fds) - (vmm->ends.frozen < 0), deadline_in(SAVE_MS), NULL)
                 : -1;
}

static bool wait_for(struct vmm *vmm, const bool *what, struct deadline late)
{
    while (!*what)
        if (deadline_poll_ms(late) == 0 || mux_turn(&vmm->mux, NULL, 0, deadline_poll_ms(late)) < 0)
            return false;
    return true;
}

static void rehearse(struct vmm *vmm, struct deadline late)
{
    struct deadline rest;
    if (!wait_for(vmm, &vmm->greeted, late))
        return;
    warm_rehearse(&vmm->warm, &vmm->mux);
    while (vmm->warm.fd >= 0 && deadline_poll_ms(late) > 0) {
        struct pollfd answers = {.fd = vmm->warm.fd, .events = POLLIN};
        if (mux_turn(&vmm->mux, &answers, 1, deadline_poll_ms(late)) < 0)
            return;
        warm_turn(&vmm->warm, &vmm->mux, answers.revents);
    }
    // Nothing of it may come behind OVER.
    for (rest = deadline_in(REST_MS); deadline_poll_ms(rest) > 0;)
        if (mux_turn(&vmm->mux, NULL, 0, deadline_poll_ms(rest)) < 0)
            return;
    mux_send(&vmm->mux, GUEST_OVER, NULL, 0);
}

// Whether a copy of what was frozen becomes a sandbox: not where this machine's kernel holds on to
// pages of its own.
static bool try_thaw(struct vmm *vmm)
{
    struct qemu_ends ends = {
        .memory = vmm->ends.memory, .state = -1, .frozen = vmm->ends.frozen, .thaws = true};
    int port, monitor, log;
    if (make_pair(&port, &ends.port) < 0 || make_pair(&monitor, &ends.monitor) < 0)
        return false;
    pid_t pid = qemu_start(&vmm->machine, &ends, &log);
    close(ends.port);
    close(ends.monitor);
    mux_deinit(&vmm->mux);
    open_mux(vmm, port);
    vmm->greeted = false;
    bool runs = pid > 0 && send_config(vmm) && save_go_on(monitor) == 0 &&
                wait_for(vmm, &vmm->greeted, deadline_in(TRIAL_MS));
    if (pid > 0)
        kill(pid, SIGKILL);
    return runs;
}

// Waits for HELLO, behind which the guest waits for what it becomes; then it is not run again.
static void save(struct vmm *vmm)
{
    struct deadline boot = boot_deadline(vmm);
    if (qemu_rehearses(&vmm->machine))
        rehearse(vmm, boot);
    if (!wait_for(vmm, &vmm->waits, boot)) {
        read_last_words(vmm);
        return refuse(vmm, "the guest did not start");
    }
    if (save_guest(vmm->monitor_fd, vmm->ends.state, deadline_in(SAVE_MS)) < 0)
        return refuse(vmm, "the guest could not be saved");
    if (vmm->ends.frozen >= 0 &&
        (save_freeze(vmm->pid, deadline_in(SAVE_MS)) < 0 || !try_thaw(vmm)))
        close(steal_fd(&vmm->ends.frozen));
    if (greet() == 0 && hand_over(vmm) == 0)
        (void)poll(&(struct pollfd){.fd = AGENT_FD_MONITOR, .events = POLLIN}, 1, SAVE_MS);
}

static void prepare(void)
{
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    syscall(SYS_close_range, AGENT_FD_MONITOR + 1, ~0U, 0);
    for (int fd = AGENT_FD_LISTEN; fd <= AGENT_FD_MONITOR; fd++)
        fd_set_cloexec(fd, true);
    fd_set_nonblock(AGENT_FD_LISTEN, true);
    signal(SIGPIPE, SIG_IGN);
}

static int make_files(struct vmm *vmm)
{
    struct qemu_ends *ends = &vmm->ends;
    ends->memory = memfd_create("memory", MFD_CLOEXEC);
    ends->state = memfd_create("state", MFD_CLOEXEC);
    if (qemu_rehearses(&vmm->machine))
        ends->frozen = memfd_create("frozen", MFD_CLOEXEC);
    if (ends->memory < 0 || ends->state < 0)
        return -1;
    return ftruncate(ends->memory, (off_t)vmm->machine.memory_mb << 20);
}

static int open_files(struct qemu_ends *ends)
{
    ends->frozen = open(MACHINE_SAVED_FROZEN, O_RDONLY | O_CLOEXEC);
    ends->thaws = ends->frozen >= 0;
    if (ends->thaws)
        ends->memory = open(MACHINE_SAVED_MEMORY, O_RDONLY | O_CLOEXEC);
    else
        ends->state = open(MACHINE_SAVED_STATE, O_RDONLY | O_CLOEXEC);
    return ends->memory < 0 && ends->state < 0 ? -1 : 0;
}

static int open_ends(struct vmm *vmm, int *ret_port)
{
    struct qemu_ends *ends = &vmm->ends;
    *ends = (struct qemu_ends){-1, -1, -1, -1, -1, false};
    if (make_pair(ret_port, &ends->port) < 0)
        return -1;
    if (vmm->machine.saved == MACHINE_BOOT)
        return 0;
    if (make_pair(&vmm->monitor_fd, &ends->monitor) < 0)
        return -1;
    return vmm->machine.saved == MACHINE_SAVE ? make_files(vmm) : open_files(ends);
}

static void restore(struct vmm *vmm)
{
    if (!send_config(vmm))
        return;
    int monitor = vmm->monitor_fd;
    if ((vmm->ends.thaws ? save_go_on(monitor) : save_restore(monitor)) < 0)
        return refuse(vmm, "QEMU takes no orders");
    serve(vmm);
}

static void run(struct vmm *vmm)
{
    if (vmm->machine.saved == MACHINE_SAVE)
        save(vmm);
    else if (vmm->machine.saved == MACHINE_RESTORE)
        restore(vmm);
    else
        serve(vmm);
}

int main(void)
{
    static struct vmm vmm;
    int port;
    prepare();
    if (read_config(&vmm) < 0 || open_ends(&vmm, &port) < 0)
        return 1;
    vmm.pid = qemu_start(&vmm.machine, &vmm.ends, &vmm.log_fd);
    if (vmm.pid < 0)
        return 1;
    close(vmm.ends.port);
    open_mux(&vmm, port);
    warm_init(&vmm.warm);
    run(&vmm);
    kill(vmm.pid, SIGKILL);
    return 1;
}
