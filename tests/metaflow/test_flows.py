# SPDX-License-Identifier: Apache-2.0
"""Flows with @sandbox on the local engine and the local datastore."""
import json
import os

import flowcase

# All that the tests ask of one run, in one start of the client.
FACTS = """
from metaflow.cards import get_cards
run = Flow("Features").latest_run
fails, shows, start = run["fails"].task, run["shows"].task, run["start"].task
out = dict(
    id=run.id, successful=run.successful, tags=sorted(run.user_tags),
    total=run.data.total, variable=run.data.variable, alpha=run.data.alpha, text=run.data.text,
    twice=sorted(task.data.twice for task in run["each"]),
    stdout=start.stdout, stderr=start.stderr, seen=start.data.seen, home=start.data.home, user=start.data.user,
    attempts=[Task(fails.pathspec, attempt=n).stdout for n in (0, 1)], attempt=fails.data.attempt,
    before=shows.data.before, secret=shows.data.secret, uploaded=start.data.uploaded, card=get_cards(shows)[0].get())
"""


class Readme(flowcase.FlowCase):
    def test_flow_of_the_readme(self):
        output = self.flow("readme.py", "run")
        self.assertIn("hello from a sandbox", output)
        facts = self.client('task = Flow("Demo").latest_run["remote"].task\n'
                            'out = [task.successful, task.data.msg, task.metadata_dict]')
        self.assertEqual([True, "hello from a sandbox"], facts[:2])
        self.assertEqual("local", facts[2]["sandbox-backend"])
        self.assertRegex(facts[2]["sandbox-id"], "^sb-")
        self.assertEqual([], self.stages())

    def test_with_and_the_runner(self):
        self.lay_out()
        spec = "sandbox:cpu=0.5,memory=600" if os.geteuid() == 0 else "sandbox:timeout=300"
        ran = self.client('with Runner("readme.py", pylint=False, show_output=False, decospecs=[%r]).run(tags=["by"]) as one:\n'
                          '    out = [one.status, one.run.data.msg, sorted(one.run.user_tags)]' % spec)
        self.assertEqual(["successful", "hello from a sandbox", ["by"]], ran)
        backends = self.client('out = [step.task.metadata_dict.get("sandbox-backend")'
                               ' for step in Flow("Demo").latest_run]')
        self.assertEqual(["local"] * 3, backends)


class Command(flowcase.FlowCase):
    """`sandbox step`: the launcher by way of an interpreter of its own."""

    def test_by_the_flow_and_by_hand(self):
        self.flow("command.py", "run", "--run-id-file", "command", env={"METAFLOW_SANDBOX_STEP_COMMAND": "1"})
        with open(os.path.join(self.work, "command"), encoding="utf-8") as file:
            run = file.read()
        first = next(name for name in os.listdir(os.path.join(self.work, ".metaflow/Command", run, "_parameters"))
                     if name.isdigit())
        by_hand = ["sandbox", "step", "start", "--run-id", run, "--task-id", "by-hand", "--max-user-code-retries", "1",
                   "--input-paths", f"{run}/_parameters/{first}", "--env-var", "HANDED=it is"]
        self.flow("command.py", *by_hand, status=9)
        self.flow("command.py", *by_hand, "--retry-count", "1")
        tasks = self.client(f"run = Run('Command/{run}')\nout = [[task.successful, task.data.handed, "
                            "[Task(task.pathspec, attempt=n).stdout for n in (0, 1)], task.metadata_dict['sandbox-id'][:3]]"
                            " for task in sorted(run['start'], key=lambda task: task.id)]")
        logs = ["attempt 0\n", "attempt 1\n"]
        self.assertEqual([[True, ["two words", "$HOME", None], logs, "sb-"],
                          [True, ["two words", "$HOME", "it is"], logs, "sb-"]], tasks)
        self.assertEqual([], self.stages())


class Features(flowcase.FlowCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["METAFLOW_SANDBOX_UPLOADS"] = json.dumps(
            [{"local": "note.txt", "remote": "/tmp/uploaded/note", "mode": "0640"}])
        cls.output = cls.flow("features.py", "run", "--tag", "mine")
        cls.facts = cls.client(FACTS)

    def check(self, **wanted):
        self.assertEqual(wanted, {name: self.facts[name] for name in wanted})

    def test_run_is_successful(self):
        self.check(successful=True, tags=["mine"])

    def test_foreach_and_join(self):
        self.check(total=12, twice=[2, 4, 6], variable="yes")

    def test_parameters_and_files(self):
        self.check(alpha=3, text="a note\n")

    def test_logs_are_kept_once_and_apart(self):
        self.check(stdout="out of start\nno newline\n", stderr="err of start\n")
        self.assertIn("out of start", self.output)

    def test_logs_and_retries_of_each_attempt(self):
        self.check(attempts=["attempt 0\n", "attempt 1\n"], attempt=1)

    def test_client_works_inside(self):
        self.check(before=12)

    def test_uploads(self):
        self.check(uploaded=["a note\n", "0o100640"])

    def test_secrets(self):
        self.check(secret="told")

    def test_card_is_there(self):
        self.assertIn("<html", self.facts["card"].lower())

    def test_only_named_variables_are_inside(self):
        seen = self.facts["seen"]
        self.assertEqual("it's \"quoted\"\n$HOME", seen["FROM_DECORATOR"])
        self.assertNotIn(flowcase.CANARY, str(seen))
        self.assertEqual({"HOME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "USER", "FROM_DECORATOR",
                          "PYTHONPATH", "PYTHONUNBUFFERED"},
                         {name for name in seen if not name.startswith("METAFLOW_")})

    def test_user_and_home_are_the_sandboxes(self):
        self.check(home="/home/user", user="tester")

    def test_resume_clones_and_runs_the_rest(self):
        output = self.flow("features.py", "resume", "both", "--origin-run-id", self.facts["id"])
        self.assertIn("total is 12", output)
        self.assertEqual([], self.stages())

    def test_catch_after_exits_and_after_the_timeout(self):
        output = self.flow("features.py", "run", "--alpha", "12", "--run-id-file", "id")
        self.assertIn("Done!", output)
        self.assertIn("was ended after its 6 s", output)
        failures = self.client('run = Flow("Features")[open("id").read()]\n'
                               'out = [str(run["fails"].task.data.failure), str(run["both"].task.data.slow)]')
        self.assertEqual([True, True], ["kept failing" in text for text in failures], failures)


if __name__ == "__main__":
    flowcase.main()
