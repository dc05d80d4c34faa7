// SPDX-License-Identifier: Apache-2.0
// What the files about files of E2B share. Layer: provider.
#pragma once

#include "provider/cloud/files.h"
#include "provider/e2b/e2b.h"

// envd's refusals in our words.
int e2b_files_meaning(int code, const char *user, struct sbx_error *err);

int e2b_files_stat(struct e2b_box *box, const char *user, const char *path,
                   struct deadline deadline, struct jsonv **ret_answer,
                   struct sbx_file_info *ret_info, struct sbx_error *err);
int e2b_files_list(struct e2b_box *box, const char *user, const char *path,
                   struct deadline deadline, struct sbx_file_list *ret_list, struct sbx_error *err);
extern const struct cloud_files e2b_files;
