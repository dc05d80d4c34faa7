// SPDX-License-Identifier: Apache-2.0
// The sandbox's network device, of whichever kind: whole Ethernet frames in and out. Layer:
// netstack.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct device {
    int fd; // borrowed, non-blocking
    bool socket;
    bool packet; // AF_PACKET: our side of a veth pair; checksums are not filled in
};

int device_init(struct device *device, int fd, struct sbx_error *err);

// How many bytes of frames wait for us before the kernel drops some; SIZE_MAX: it counts otherwise.
size_t device_room(const struct device *device);

// A frame's size; 0: none now; -1: the device is gone.
ssize_t device_read(const struct device *device, uint8_t *buffer, size_t size);

// Drops the frame when the sandbox does not keep up: TCP sends again.
void device_write(const struct device *device, const void *frame, size_t size);
