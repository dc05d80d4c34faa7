// SPDX-License-Identifier: Apache-2.0
/*
 * Whether a device runs guests, by running one: machines in some clouds have a /dev/kvm that
 * answers, makes machines and then fails, or interprets each instruction. The guest counts down in
 * 64-bit mode, with paging, and says so at a port. Kernel documentation: virt/kvm/api.rst. Layer:
 * engine.
 */
#include "engine/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY_SIZE 0x8000
#define TABLES 0x1000 // three levels, a page each
#define CODE 0x4000
#define PORT 0x10
#define ANSWER 0x2a
#define MICROSECONDS_MAX 600000

// Milliseconds of a processor's time, and far more than that bound for whoever interprets them.
static const unsigned char code[] = {0xb9, 0x00,   0x2d, 0x31, 0x01, // mov ecx, 20000000
                                     0xff, 0xc9,                     // dec ecx
                                     0x75, 0xfc,                     // jnz to it
                                     0xb0, ANSWER,                   // mov al, ANSWER
                                     0xe6, PORT,                     // out PORT, al
                                     0xf4};                          // hlt

static void fill_memory(unsigned char *memory)
{
    const uint64_t next = 3, page = 0x83; // present and writable; of 2 MiB
    uint64_t entries[] = {(TABLES + 0x1000) | next, (TABLES + 0x2000) | next, page};
    for (size_t i = 0; i < 3; i++)
        memcpy(memory + TABLES + i * 0x1000, &entries[i], sizeof(entries[i]));
    memcpy(memory + CODE, code, sizeof(code));
}

static int set_registers(int cpu)
{
    struct kvm_sregs special;
    struct kvm_regs registers = {.rip = CODE, .rflags = 2};
    struct kvm_segment segment = {
        .limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1};
    if (ioctl(cpu, KVM_GET_SREGS, &special) < 0)
        return -1;
    special.cs = segment;
    segment.type = 3;
    segment.selector = 16;
    segment.l = 0;
    segment.db = 1;
    special.ds = special.es = special.fs = special.gs = special.ss = segment;
    special.cr3 = TABLES;
    special.cr4 = 1 << 5;            // PAE
    special.cr0 = 0x80000031;        // PG, NE, ET, PE
    special.efer = 1 << 8 | 1 << 10; // LME, LMA
    if (ioctl(cpu, KVM_SET_SREGS, &special) < 0)
        return -1;
    return ioctl(cpu, KVM_SET_REGS, &registers);
}

static int make_cpu(int machine, unsigned char *memory)
{
    struct kvm_userspace_memory_region region = {.memory_size = MEMORY_SIZE,
                                                 .userspace_addr = (uint64_t)(uintptr_t)memory};
    (void)ioctl(machine, KVM_SET_TSS_ADDR, 0xfffbd000); // older Intel processors want it
    if (ioctl(machine, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return -1;
    return ioctl(machine, KVM_CREATE_VCPU, 0);
}

static int run_cpu(int device, int cpu)
{
    int size = ioctl(device, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < (int)sizeof(struct kvm_run) || set_registers(cpu) < 0)
        return errno ? errno : EIO;
    struct kvm_run *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
    if (run == MAP_FAILED || ioctl(cpu, KVM_RUN, 0) < 0)
        return errno;
    if (run->exit_reason != KVM_EXIT_IO || run->io.port != PORT ||
        run->io.data_offset >= (uint64_t)size)
        return EIO;
    return *((unsigned char *)run + run->io.data_offset) == ANSWER ? 0 : EIO;
}

static int try(const char *path)
{
    struct stat info;
    int device = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (device < 0)
        return errno;
    if (fstat(device, &info) < 0 || !S_ISCHR(info.st_mode))
        return ENODEV;
    int version = ioctl(device, KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION)
        return version < 0 ? errno : ENODEV;
    unsigned char *memory =
        mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int machine = ioctl(device, KVM_CREATE_VM, 0);
    if (memory == MAP_FAILED || machine < 0)
        return errno;
    fill_memory(memory);
    int cpu = make_cpu(machine, memory);
    return cpu < 0 ? errno : run_cpu(device, cpu);
}

int probe_kvm(const char *path)
{
    int status;
    pid_t child = fork();
    if (child < 0)
        return errno;
    if (child == 0) {
        sigset_t none; // a thread that makes sandboxes may have blocked all
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGALRM, SIG_DFL);
        const struct itimerval bound = {.it_value = {.tv_usec = MICROSECONDS_MAX}};
        setitimer(ITIMER_REAL, &bound, NULL);
        int failed = try(path);
        _exit(failed);
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : ETIMEDOUT;
}
