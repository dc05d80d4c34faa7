// SPDX-License-Identifier: Apache-2.0
// What Metaflow's UI reads, below /api. Layer: metaflow.
#pragma once

#include "httpd/httpd.h"

void mfui_ping(struct httpd_request *request);
void mfui_version(struct httpd_request *request);
void mfui_nothing(struct httpd_request *request);      // an empty list in the envelope
void mfui_empty_list(struct httpd_request *request);   // without envelope
void mfui_empty_object(struct httpd_request *request); // without envelope
void mfui_flows(struct httpd_request *request);
void mfui_flow(struct httpd_request *request);
void mfui_flow_names(struct httpd_request *request);
void mfui_runs(struct httpd_request *request);
void mfui_run(struct httpd_request *request);
void mfui_steps(struct httpd_request *request);
void mfui_step(struct httpd_request *request);
void mfui_tasks(struct httpd_request *request);
void mfui_task(struct httpd_request *request);
void mfui_attempts(struct httpd_request *request);
void mfui_metadata(struct httpd_request *request);
void mfui_artifacts(struct httpd_request *request);
void mfui_dag(struct httpd_request *request);
void mfui_log(struct httpd_request *request); // route data: "stdout" or "stderr"
void mfui_socket(struct httpd_request *request);

#define MFUI_RUN "/api/flows/{flow}/runs/{run}"
#define MFUI_TASK MFUI_RUN "/steps/{step}/tasks/{task}"
#define MFUI_GET(path, function)                                                                   \
    {                                                                                              \
        .method = "GET", .pattern = (path), .handler = (function)                                  \
    }

// Rows of the service's table.
#define MFUI_ROUTES                                                                                \
    MFUI_GET("/api/ping", mfui_ping), MFUI_GET("/api/version", mfui_version),                      \
        MFUI_GET("/api/features", mfui_empty_object), MFUI_GET("/api/config", mfui_empty_object),  \
        MFUI_GET("/api/plugin", mfui_empty_list), MFUI_GET("/api/links", mfui_empty_list),         \
        MFUI_GET("/api/notifications", mfui_nothing),                                              \
        MFUI_GET("/api/flows/autocomplete", mfui_flow_names),                                      \
        MFUI_GET("/api/artifacts/autocomplete", mfui_nothing), MFUI_GET("/api/flows", mfui_flows), \
        MFUI_GET("/api/flows/{flow}", mfui_flow), MFUI_GET("/api/runs", mfui_runs),                \
        MFUI_GET("/api/flows/{flow}/runs", mfui_runs), MFUI_GET(MFUI_RUN, mfui_run),               \
        MFUI_GET(MFUI_RUN "/parameters", mfui_nothing),                                            \
        MFUI_GET(MFUI_RUN "/metadata", mfui_nothing),                                              \
        MFUI_GET(MFUI_RUN "/artifacts", mfui_nothing), MFUI_GET(MFUI_RUN "/dag", mfui_dag),        \
        MFUI_GET(MFUI_RUN "/tasks", mfui_tasks), MFUI_GET(MFUI_RUN "/steps", mfui_steps),          \
        MFUI_GET(MFUI_RUN "/steps/{step}", mfui_step),                                             \
        MFUI_GET(MFUI_RUN "/steps/{step}/tasks", mfui_tasks), MFUI_GET(MFUI_TASK, mfui_task),      \
        MFUI_GET(MFUI_TASK "/attempts", mfui_attempts),                                            \
        MFUI_GET(MFUI_TASK "/metadata", mfui_metadata),                                            \
        MFUI_GET(MFUI_TASK "/artifacts", mfui_artifacts),                                          \
        MFUI_GET(MFUI_TASK "/cards", mfui_nothing),                                                \
        {.method = "GET",                                                                          \
         .pattern = MFUI_TASK "/logs/out",                                                         \
         .handler = mfui_log,                                                                      \
         .data = "stdout"},                                                                        \
        {.method = "GET",                                                                          \
         .pattern = MFUI_TASK "/logs/err",                                                         \
         .handler = mfui_log,                                                                      \
         .data = "stderr"},                                                                        \
        MFUI_GET("/api/ws", mfui_socket)
