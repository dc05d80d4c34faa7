# SPDX-License-Identifier: Apache-2.0
"""Tells as JSON everything that Metaflow's client says about the flow Wide."""
import json
import sys

from metaflow import Flow, Metaflow, Run, Step, Task, DataArtifact, namespace

namespace(None)


def of_object(thing):
    return {"id": thing.id, "pathspec": thing.pathspec, "tags": sorted(thing.tags), "created": str(thing.created_at),
            "user_tags": sorted(thing.user_tags), "system_tags": sorted(thing.system_tags)}


def of_task(task):
    told = of_object(task)
    told.update(ok=task.successful, finished=task.finished, attempt=task.current_attempt, stdout=task.stdout,
                metadata=sorted([m.name, m.value, str(m.created_at), m.type] for m in task.metadata),
                finished_at=str(task.finished_at), runtime=task.runtime_name, index=task.index,
                artifacts=sorted([a.id, a.sha, str(a.data)] for a in task.artifacts),
                exception=repr(task.exception) if task.exception else None)
    if hasattr(task, "parent_task_pathspecs"):
        told["parents"] = sorted(task.parent_task_pathspecs)
        told["children"] = sorted(task.child_task_pathspecs)
    first = Task(task.pathspec, attempt=0)
    told["first"] = [first.successful, sorted(a.id for a in first.artifacts)]
    return told


def of_run(run):
    told = of_object(run)
    told.update(ok=run.successful, finished=run.finished, finished_at=str(run.finished_at),
                end=run.end_task.pathspec if run.end_task else None,
                steps={s.id: {**of_object(s), "tasks": {t.id: of_task(t) for t in s}} for s in run})
    return told


def missing(kind, path):
    try:
        kind(path)
    except Exception as error:  # noqa: BLE001
        return type(error).__name__
    return "there"


flow = Flow("Wide")
run = flow.latest_run
print(json.dumps({
    "flows": sorted(f.id for f in Metaflow().flows), "flow": str(flow.created_at),
    "latest": run.id, "latest_ok": flow.latest_successful_run.id if flow.latest_successful_run else None,
    "runs": {r.id: of_run(r) for r in flow},
    "tagged": sorted(r.id for r in flow.runs("one")),
    "artifact": DataArtifact(f"{run.pathspec}/end/{run['end'].task.id}/answer").data,
    "data": run.data.answer, "item": run["end"].task["answer"].data,
    "missing": [missing(Flow, "Nope"), missing(Run, "Wide/1"), missing(Step, f"{run.pathspec}/nope"),
                missing(Task, f"{run.pathspec}/end/999"), missing(DataArtifact, f"{run['end'].task.pathspec}/nope")],
}, indent=1, sort_keys=True), file=sys.stdout)
