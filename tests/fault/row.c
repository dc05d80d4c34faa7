// SPDX-License-Identifier: Apache-2.0
// Sandboxes that one client makes one after another use networks made ahead: each has its own.
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sandboxes/sandboxes.h>

#define COUNT 12

static int number;

static bool tell(bool good, const char *what, const struct sbx_error *err)
{
    printf("%s %d - %s%s%s\n", good ? "ok" : "not ok", ++number, what, good ? "" : ": ",
           good ? "" : err->message);
    return good;
}

struct box {
    struct sbx_sandbox *sandbox;
    char seen[512]; // its network namespace, its ids and its interfaces
};

static bool begin(struct sbx_client *client, uint32_t network, struct box *box,
                  struct sbx_error *err)
{
    // Time for a spare one to be made, more often than not.
    static const struct timespec pause = {.tv_nsec = 20000000};
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result;
    spec.network = network;
    spec.lifetime = SBX_LIFETIME_TIED;
    exec.shell = "readlink /proc/self/ns/net /proc/self/ns/user; cut -d: -f1 /proc/net/dev";
    nanosleep(&pause, NULL);
    if (sbx_sandbox_create(client, &spec, NULL, &box->sandbox, err) < 0 ||
        sbx_run(box->sandbox, &exec, NULL, &result, err) < 0)
        return false;
    snprintf(box->seen, sizeof(box->seen), "%s", result.out);
    sbx_result_deinit(&result);
    return true;
}

static bool same_line(const char *a, const char *b)
{
    size_t length = strcspn(a, "\n");
    return length == strcspn(b, "\n") && memcmp(a, b, length) == 0;
}

static bool all_differ(const struct box *boxes, int count)
{
    for (int i = 0; i < count; i++)
        for (int k = 0; k < i; k++) {
            const char *a = strchr(boxes[i].seen, '\n'), *b = strchr(boxes[k].seen, '\n');
            if (!a || !b || same_line(boxes[i].seen, boxes[k].seen) || same_line(a + 1, b + 1))
                return false;
        }
    return true;
}

// lo alone, or lo and one device.
static bool interfaces_fit(const struct box *boxes, int count, bool device)
{
    for (int i = 0; i < count; i++) {
        bool has_lo = strstr(boxes[i].seen, "    lo\n");
        bool has_device = strstr(boxes[i].seen, "eth0\n");
        if (!has_lo || has_device != device)
            return false;
    }
    return true;
}

static void check_kind(struct sbx_client *client, uint32_t network, const char *name)
{
    struct sbx_error err = {0};
    struct box boxes[COUNT] = {{0}};
    char text[96];
    bool good = true;
    for (int i = 0; i < COUNT && good; i++)
        good = begin(client, network, &boxes[i], &err);
    snprintf(text, sizeof(text), "sandboxes in a row, network %s", name);
    if (tell(good, text, &err)) {
        snprintf(text, sizeof(text), "each has namespaces of its own, network %s", name);
        tell(all_differ(boxes, COUNT), text, &err);
        snprintf(text, sizeof(text), "each has the interfaces of network %s", name);
        tell(interfaces_fit(boxes, COUNT, network != SBX_NETWORK_NONE), text, &err);
    }
    for (int i = 0; i < COUNT; i++)
        if (boxes[i].sandbox) {
            (void)sbx_sandbox_destroy(boxes[i].sandbox, NULL, &err);
            sbx_sandbox_free(boxes[i].sandbox);
        }
}

int main(void)
{
    struct sbx_error err = {0};
    struct sbx_client *client;
    if (sbx_client_open(NULL, &client, &err) < 0)
        return tell(false, "open", &err), 1;
    check_kind(client, SBX_NETWORK_NONE, "none");
    check_kind(client, SBX_NETWORK_INTERNET, "internet");
    check_kind(client, SBX_NETWORK_NONE, "none again");
    sbx_client_close(client);
    printf("1..%d\n", number);
    return 0;
}
