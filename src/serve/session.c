// SPDX-License-Identifier: Apache-2.0
// Daytona's sessions. Layer: serve.
#include "serve/session.h"

#include "base/clock.h"
#include "serve/job.h"

void sessions_end(struct place *box)
{
}

int session_stop_box(struct place *box, struct sbx_error *err)
{
    sessions_end(box);
    jobs_end(box);
    int code = place_pause(box, err);
    if (code < 0)
        return code;
    pthread_mutex_lock(&box->lock);
    box->sheet.state = SHEET_STOPPED;
    pthread_mutex_unlock(&box->lock);
    return place_save(box, err);
}
