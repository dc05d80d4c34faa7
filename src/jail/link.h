// SPDX-License-Identifier: Apache-2.0
// Datagrams with descriptors between monitor and init. Layer: jail.
#pragma once

#include <stddef.h>

#include "base/error.h"

#define LINK_FDS_MAX 40

// Sends one letter with descriptors, which stay the caller's; -1 and errno on failure.
int link_send(int fd, char letter, const int *fds, size_t count);

// The same with data after the letter.
int link_send_data(int fd, char letter, const void *data, size_t size, const int *fds,
                   size_t count);

// Room in the socket's queue for messages of this size.
void link_make_room(int fd, size_t size);

// Waits for that letter. 0; -1 when the peer is gone or says something else. ret_count is how many
// came.
int link_receive(int fd, char letter, int ret_fds[LINK_FDS_MAX], size_t *ret_count);

// The same with data, which is the caller's to free.
int link_receive_data(int fd, char letter, void **ret_data, size_t *ret_size,
                      int ret_fds[LINK_FDS_MAX], size_t *ret_count);
