// SPDX-License-Identifier: Apache-2.0
// Files of a sandbox.
#include "box.h"
#include "facts.h"

// Every call here takes (path, to, user, mode, recursive, limit, timeout_ms); None or 0 where it
// makes no sense. `to` is the second path.
static struct job *file_job(struct box *self, PyObject *args, const struct job_kind *kind)
{
    const char *path, *to, *user;
    unsigned mode;
    int recursive;
    unsigned long long limit;
    long long timeout;
    if (!PyArg_ParseTuple(args, "szzIpKL", &path, &to, &user, &mode, &recursive, &limit, &timeout))
        return NULL;
    struct job *job = job_new(kind, self, self->generation, args, timeout);
    if (!job)
        return NULL;
    job->in.path = path;
    job->in.to = to;
    job->in.file.user = user;
    job->in.file.mode = mode;
    job->in.file.recursive = (uint32_t)recursive;
    job->in.file.limit = limit;
    return job;
}

static int run_write(struct job *job, const struct sbx_call *call)
{
    return sbx_file_write(job_box(job)->handle, job->in.path, job->in.data, job->in.size,
                          &job->in.file, call, &job->err);
}
static const struct job_kind write_kind = {"write_file", run_write, job_none, NULL};

PyObject *box_write_file(struct box *self, PyObject *args)
{
    const char *path, *data, *user;
    Py_ssize_t size;
    unsigned mode;
    long long timeout;
    if (!PyArg_ParseTuple(args, "sy#zIL:write_file", &path, &data, &size, &user, &mode, &timeout))
        return NULL;
    struct job *job = job_new(&write_kind, self, self->generation, args, timeout);
    if (!job)
        return NULL;
    job->in.path = path;
    job->in.data = data;
    job->in.size = (size_t)size;
    job->in.file.user = user;
    job->in.file.mode = mode;
    return (PyObject *)job;
}

static int run_read(struct job *job, const struct sbx_call *call)
{
    return sbx_file_read(job_box(job)->handle, job->in.path, &job->in.file, call, &job->out.data,
                         &job->out.size, &job->err);
}

static PyObject *give_data(struct job *job)
{
    return PyBytes_FromStringAndSize(job->out.data, (Py_ssize_t)job->out.size);
}
static const struct job_kind read_kind = {"read_file", run_read, give_data, NULL};

PyObject *box_read_file(struct box *self, PyObject *args)
{
    return (PyObject *)file_job(self, args, &read_kind);
}

static int run_upload(struct job *job, const struct sbx_call *call)
{
    return sbx_file_upload(job_box(job)->handle, job->in.path, job->in.to, &job->in.file, call,
                           &job->err);
}
static const struct job_kind upload_kind = {"upload", run_upload, job_none, NULL};

PyObject *box_upload(struct box *self, PyObject *args)
{
    return (PyObject *)file_job(self, args, &upload_kind);
}

static int run_download(struct job *job, const struct sbx_call *call)
{
    return sbx_file_download(job_box(job)->handle, job->in.path, job->in.to, &job->in.file, call,
                             &job->err);
}
static const struct job_kind download_kind = {"download", run_download, job_none, NULL};

PyObject *box_download(struct box *self, PyObject *args)
{
    return (PyObject *)file_job(self, args, &download_kind);
}

static PyObject *file_at(const void *items, size_t index)
{
    return facts_file((const struct sbx_file_info *)items + index);
}

static int run_stat(struct job *job, const struct sbx_call *call)
{
    return sbx_file_stat(job_box(job)->handle, job->in.path, &job->in.file, call, &job->out.files,
                         &job->err);
}

static PyObject *give_one(struct job *job)
{
    return file_at(job->out.files.items, 0);
}
static const struct job_kind stat_kind = {"stat", run_stat, give_one, NULL};

PyObject *box_stat(struct box *self, PyObject *args)
{
    return (PyObject *)file_job(self, args, &stat_kind);
}

static int run_list(struct job *job, const struct sbx_call *call)
{
    return sbx_file_list(job_box(job)->handle, job->in.path, &job->in.file, call, &job->out.files,
                         &job->err);
}

static PyObject *give_files(struct job *job)
{
    return facts_list(job->out.files.count, file_at, job->out.files.items);
}
static const struct job_kind list_kind = {"list_files", run_list, give_files, NULL};

PyObject *box_list_files(struct box *self, PyObject *args)
{
    return (PyObject *)file_job(self, args, &list_kind);
}

static int run_mkdir(struct job *job, const struct sbx_call *call)
{
    return sbx_file_mkdir(job_box(job)->handle, job->in.path, &job->in.file, call, &job->err);
}
static const struct job_kind mkdir_kind = {"mkdir", run_mkdir, job_none, NULL};

PyObject *box_mkdir(struct box *self, PyObject *args)
{
    return (PyObject *)file_job(self, args, &mkdir_kind);
}

static int run_remove(struct job *job, const struct sbx_call *call)
{
    return sbx_file_remove(job_box(job)->handle, job->in.path, &job->in.file, call, &job->err);
}
static const struct job_kind remove_kind = {"remove", run_remove, job_none, NULL};

PyObject *box_remove(struct box *self, PyObject *args)
{
    return (PyObject *)file_job(self, args, &remove_kind);
}

static int run_rename(struct job *job, const struct sbx_call *call)
{
    return sbx_file_rename(job_box(job)->handle, job->in.path, job->in.to, &job->in.file, call,
                           &job->err);
}
static const struct job_kind rename_kind = {"rename", run_rename, job_none, NULL};

PyObject *box_rename(struct box *self, PyObject *args)
{
    return (PyObject *)file_job(self, args, &rename_kind);
}

static int run_watch(struct job *job, const struct sbx_call *call)
{
    return sbx_watch_start(job_box(job)->handle, job->in.path, &job->in.file, call, &job->out.watch,
                           &job->err);
}

static PyObject *give_watch(struct job *job)
{
    struct sbx_watch *handle = job->out.watch;
    job->out.watch = NULL;
    return watch_wrap(job_box(job), handle);
}
static const struct job_kind watch_kind = {"watch", run_watch, give_watch, NULL};

PyObject *box_watch(struct box *self, PyObject *args)
{
    return (PyObject *)file_job(self, args, &watch_kind);
}
