// SPDX-License-Identifier: Apache-2.0
// Sandboxes as a service lists them, page by page. Layer: provider.
#pragma once

#include "provider/cloud/cloud.h"

// A sandbox as the service describes it: strings are in `root`.
struct cloud_record {
    struct jsonv *root; // owned, or NULL when somebody else owns it
    struct sbx_pair *labels;
    struct sbx_info info;
};
void cloud_record_deinit(struct cloud_record *record);
// The labels that users gave, sorted.
int cloud_record_labels(const struct jsonv *labels, struct cloud_record *record,
                        struct sbx_error *err);

// Takes what the service says now, with the object it is in, to `held`, which the lock guards.
void cloud_record_renew(pthread_mutex_t *lock, struct cloud_record *held,
                        const struct cloud_record *fresh, struct jsonv *root,
                        struct sbx_info *ret_info);

// From an object of the service; root is not taken over. GONE for one that is no sandbox any more.
#define CLOUD_RECORD_GONE 1
typedef int cloud_record_fn(const struct jsonv *object, struct cloud_record *ret_record,
                            struct sbx_error *err);

struct cloud_list; // all pages together
struct cloud_list *cloud_list_new(void);
void cloud_list_delete(struct cloud_list *list);
static inline void cloud_list_cleanup(struct cloud_list **list)
{
    cloud_list_delete(*list);
}
#define cleanup_cloud_list cleanup(cloud_list_cleanup)

struct cloud_page {
    struct jsonv *root;        // taken over, whatever happens
    const struct jsonv *items; // in it
    const char *labels_key;    // of an item
    cloud_record_fn *fill;
};
// A filter that the service did not understand does not widen the list.
int cloud_list_take(struct cloud_list *list, const struct cloud_page *page,
                    const struct sbx_pair *labels, size_t label_count, struct sbx_error *err);
// The list, oldest first, which is taken over, whatever happens.
int cloud_list_finish(struct cloud_list *list, struct sbx_list *ret_list, struct sbx_error *err);
void cloud_list_free(struct sbx_list *list);
// The only sandbox whose id begins so. Free it.
int cloud_list_find(const struct sbx_list *list, const char *prefix, char **ret_id,
                    struct sbx_error *err);
