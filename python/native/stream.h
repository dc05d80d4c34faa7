// SPDX-License-Identifier: Apache-2.0
// Output of a command that a reading job gathers and Python takes when it gets to it: one wake-up
// of the event loop for all that has come. Bounded: a command nobody listens to has to wait.
#pragma once

#include "job.h"

struct stream *stream_new(void); // NULL: out of memory
void stream_free(struct stream *stream);
void stream_stop(struct stream *stream); // the reader does not wait for room any more
void stream_wake(struct stream *stream); // whoever waits for output looks again

// Adds output; waits while there is too much. False: stopped, or out of memory (err filled).
bool stream_add(struct stream *stream, const struct sbx_event *event, struct job *job);

PyObject *stream_take(struct job *job, PyObject *unused);
PyObject *stream_run_on(struct job *job, PyObject *unused);
PyObject *stream_wait_output(struct job *job, PyObject *unused);

// In job.c.
bool job_start_alone(struct job *job);
bool job_is_done(struct job *job);
