// SPDX-License-Identifier: Apache-2.0
// Giving up capabilities for good. Only async-signal-safe calls: also used between clone and exec,
// where memory is shared. Layer: base.
#include "base/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAPS_END 64 // the kernel's sets are 64 bits wide

// KEEP_CAPS itself stays off, and locked so. The last two are newer than some headers.
#define AMBIENT_OFF (UINT32_C(1) << 6 | UINT32_C(1) << 7)
#define LOCKED_BITS                                                                                \
    (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |                               \
     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | AMBIENT_OFF)

struct caps_sets {
    uint64_t effective, permitted, inheritable;
};

static int set_all(const struct caps_sets *sets)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    for (int i = 0; i < 2; i++)
        data[i] =
            (struct __user_cap_data_struct){.effective = (uint32_t)(sets->effective >> 32 * i),
                                            .permitted = (uint32_t)(sets->permitted >> 32 * i),
                                            .inheritable = (uint32_t)(sets->inheritable >> 32 * i)};
    return (int)syscall(SYS_capset, &header, data);
}

static int get_all(struct caps_sets *ret_sets)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) < 0)
        return -1;
    *ret_sets = (struct caps_sets){
        .effective = (uint64_t)data[1].effective << 32 | data[0].effective,
        .permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted,
        .inheritable = (uint64_t)data[1].inheritable << 32 | data[0].inheritable,
    };
    return 0;
}

uint64_t caps_bounding(void)
{
    uint64_t bounding = 0;
    for (int cap = 0; cap < CAPS_END; cap++) {
        int held = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
        if (held < 0)
            break;
        if (held)
            bounding |= CAPS_BIT(cap);
    }
    return bounding;
}

static int drop_bounding(uint64_t surplus)
{
    for (int cap = 0; surplus; cap++, surplus >>= 1)
        if ((surplus & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            return -1;
    return 0;
}

// All but mask. Dropping what is not there costs no more than asking, and changes nothing; only who
// may not drop has to ask.
static int limit_bounding(uint64_t mask)
{
    for (int cap = 0; cap < CAPS_END; cap++) {
        if (mask & CAPS_BIT(cap) || prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
            continue;
        if (errno == EPERM && !(caps_bounding() & ~mask))
            return 0;
        return errno == EINVAL && cap > 0 ? 0 : -1; // the kernel's last one was before
    }
    return 0;
}

static int clear_ambient(void)
{
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
        return -1;
    return 0;
}

static int limit_others(uint64_t mask)
{
    struct caps_sets sets;
    if (clear_ambient() < 0 || get_all(&sets) < 0)
        return -1;
    sets.permitted &= mask;
    sets.effective = sets.permitted;
    sets.inheritable = sets.permitted;
    return set_all(&sets);
}

int caps_keep(uint64_t mask)
{
    return limit_bounding(mask) < 0 ? -1 : limit_others(mask);
}

// In this order: nothing becomes inheritable that the bounding set lacks.
int caps_keep_inherited(uint64_t mask)
{
    return limit_others(mask) < 0 ? -1 : limit_bounding(0);
}

static bool is_locked(void)
{
    return prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) == (int)LOCKED_BITS;
}

bool caps_are_gone(void)
{
    struct caps_sets sets;
    return is_locked() && get_all(&sets) == 0 &&
           (sets.effective | sets.permitted | sets.inheritable) == 0 && caps_bounding() == 0;
}

static int lock_securebits(void)
{
    if (prctl(PR_SET_SECUREBITS, LOCKED_BITS, 0, 0, 0) == 0)
        return 0;
    // Without CAP_SETPCAP it fails; that is fine when an ancestor has locked them already.
    int saved = errno;
    if (is_locked())
        return 0;
    errno = saved;
    return -1;
}

int caps_lock(uint64_t bounding)
{
    return drop_bounding(bounding) < 0 ? -1 : lock_securebits();
}

// The ambient set goes along: it never exceeds the others, capabilities(7).
int caps_clear(void)
{
    return set_all(&(struct caps_sets){0});
}

int caps_drop_all(void)
{
    return limit_bounding(0) < 0 || lock_securebits() < 0 ? -1 : caps_clear();
}
