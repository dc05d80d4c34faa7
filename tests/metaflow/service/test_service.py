# SPDX-License-Identifier: Apache-2.0
"""Commands and interface of metaflow-local-service, without Metaflow."""
import concurrent.futures
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

from servicecase import PROGRAM, Client, ServiceCase, new_run, new_task, skip

TASK = "/flows/Flow/runs/{}/steps/start/tasks/{}"


class Commands(ServiceCase):
    def test_start_status_url_stop(self):
        self.assertEqual(b"Not running.\n", self.command("status", check=1).stdout)
        self.command("url", check=1)
        self.assertIn(b"No running daemon found.", self.command("stop", check=0).stdout)
        started = self.command("start", check=0).stdout
        self.assertIn(b"METAFLOW_DEFAULT_METADATA=service", started)
        url = self.command("url", check=0).stdout
        self.assertRegex(url, rb"^http://127\.0\.0\.1:\d+$")
        self.assertIn(url, started)
        status = self.command("status", check=0).stdout
        self.assertIn(b"metaflow_root=" + self.project.encode(), status)
        self.assertIn(b"Already running", self.command("start", check=0).stdout)
        self.assertEqual(url, self.command("url", check=0).stdout)
        self.assertIn(b"Stopped.", self.command("stop", check=0).stdout)
        self.command("status", check=1)

    def test_run_passes_environment_and_status(self):
        done = self.command("run", "sh", "-c", 'echo "$METAFLOW_SERVICE_URL $METAFLOW_DEFAULT_METADATA"; exit 7', check=7)
        self.assertRegex(done.stdout, rb"^http://127\.0\.0\.1:\d+ service\n$")
        self.assertIn(b"metaflow-local-service running at http://127.0.0.1:", done.stderr)
        self.command("status", check=1)
        self.command("run", "sh", "-c", "kill -9 $$", check=137)
        self.command("run", "no-such-program", check=127, PATH="/usr/bin:/bin")
        self.command("run", "/etc", check=126)
        self.command("run", check=2)
        self.command("dance", check=2)
        self.command("start", "--port", "99999", check=2)

    def test_a_proxy_is_not_asked_for_the_service(self):
        script = 'echo "$no_proxy"'
        self.assertEqual(b"\n", self.command("run", "sh", "-c", script, check=0).stdout)
        done = self.command("run", "sh", "-c", script, check=0, http_proxy="http://127.0.0.1:1")
        self.assertEqual(b"127.0.0.1\n", done.stdout)
        done = self.command("run", "sh", "-c", script, check=0, HTTP_PROXY="http://127.0.0.1:1", NO_PROXY="a,b")
        self.assertEqual(b"a,b,127.0.0.1\n", done.stdout)

    def test_options_after_the_program_are_its_own(self):
        done = self.command("run", "--idle-timeout", "60", "echo", "--port", "1", "--", "--help", check=0)
        self.assertEqual(b"--port 1 -- --help\n", done.stdout)

    def test_signals_reach_the_program(self):
        script = 'trap "echo got; exit 3" TERM; echo ready; while :; do sleep 0.05; done'
        with subprocess.Popen([PROGRAM, "run", "sh", "-c", script], cwd=self.project, env=self.env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
            self.assertEqual(b"ready\n", run.stdout.readline())
            run.send_signal(signal.SIGTERM)
            self.assertEqual(b"got\n", run.stdout.readline())
            self.assertEqual(3, run.wait(20))
        self.command("status", check=1)

    def test_runs_share_a_service_and_the_last_ends_it(self):
        first = subprocess.Popen([PROGRAM, "run", "cat"], cwd=self.project, env=self.env, stdin=subprocess.PIPE,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait(lambda: self.command("status").returncode == 0)
        url = self.command("url", check=0).stdout
        second = self.command("run", "sh", "-c", "echo $METAFLOW_SERVICE_URL", check=0)
        self.assertEqual(url, second.stdout.strip())
        self.assertEqual(url, self.command("url", check=0).stdout)
        first.communicate(timeout=20)
        self.assertEqual(0, first.returncode)
        self.command("status", check=1)

    def test_a_started_service_outlives_runs(self):
        self.start()
        self.command("run", "true", check=0)
        self.command("status", check=0)

    def test_start_keeps_the_service_of_a_run(self):
        self.command("run", PROGRAM, "start", check=0)
        self.command("status", check=0)

    def test_projects_have_their_own(self):
        other = os.path.join(self.base, "other")
        os.mkdir(other)
        port = self.start()
        self.assertIn(b"Started", self.command("start", "--metaflow-root", other, check=0).stdout)
        other_port = self.port("--metaflow-root", other)
        self.assertNotEqual(port, other_port)
        with self.client(port) as client, self.client(other_port) as other_client:
            new_run(client)
            self.assertEqual(1, len(client.get("/flows")))
            self.assertEqual([], other_client.get("/flows"))
        self.command("stop", "--metaflow-root", other, check=0)
        # from elsewhere, the one that runs is meant
        self.assertEqual(port, int(self.command("url", cwd="/", check=0).stdout.rsplit(b":", 1)[1]))
        self.assertTrue(os.path.isdir(os.path.join(other, ".metaflow")))

    def test_the_root_is_found_as_local_mode_finds_it(self):
        os.mkdir(self.root())
        deep = os.path.join(self.project, "a/b")
        os.makedirs(deep)
        self.command("start", cwd=deep, check=0)
        self.assertIn(self.project.encode() + b"\n", self.command("status", cwd=deep, check=0).stdout)
        self.command("stop", check=0)
        set_root = os.path.join(self.base, "set")
        os.mkdir(set_root)
        self.command("run", "true", METAFLOW_DATASTORE_SYSROOT_LOCAL=set_root, check=0)
        self.assertTrue(os.path.isdir(os.path.join(set_root, ".metaflow")))

    def test_settings_from_the_environment(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.assertEqual(port, self.start(METAFLOW_LOCAL_SERVICE_PORT=str(port), METAFLOW_LOCAL_SERVICE_DEBUG="1"))
        with self.client(port) as client:
            client.get("/flows")
        folder = os.path.join(self.home, ".metaflow-local-service")
        log = os.path.join(folder, next(name for name in os.listdir(folder) if name.endswith(".log")))
        with open(log, encoding="utf-8") as file:
            self.wait(lambda: '"/flows"' in file.read())
        os.unlink(log)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            other = os.path.join(self.base, "other")
            os.mkdir(other)
            refused = self.command("start", "--metaflow-root", other, "--port", str(taken.getsockname()[1]), check=125)
        self.assertIn(b"leave out --port", refused.stderr)
        self.command("start", METAFLOW_LOCAL_SERVICE_IDLE_TIMEOUT="soon", check=2)

    def test_an_idle_service_ends_and_a_used_one_does_not(self):
        self.start("--idle-timeout", "1")
        port = self.port()
        with self.client(port) as client:
            for _ in range(3):
                client.get("/flows")
                time.sleep(0.5)
        self.wait(lambda: self.command("status").returncode == 1)
        # a program that asks nothing for longer than that
        self.command("run", "--idle-timeout", "1", "sh", "-c", f"sleep 2.2; exec {PROGRAM} status", check=0)

    def test_a_killed_service_comes_back_on_its_address(self):
        script = ("import os, signal, sys, urllib.request as u, subprocess\n"
                  "url = os.environ['METAFLOW_SERVICE_URL']\n"
                  f"pid = lambda: int(subprocess.run(['{PROGRAM}', 'status'], capture_output=True).stdout.split(b'pid=')[1].split()[0])\n"
                  "for i in range(5):\n"
                  "    before = pid()\n"
                  "    os.kill(before, signal.SIGKILL)\n"
                  "    assert u.urlopen(url + '/ping', timeout=10).read() == b'pong'\n"
                  "    assert pid() != before\n")
        self.command("run", "python3", "-c", script, check=0)
        self.command("status", check=1)

    def test_a_crash_leaves_no_obstacle(self):
        self.start()
        os.kill(self.pid(), signal.SIGKILL)
        self.wait(lambda: self.command("status").returncode == 1)
        self.start()
        self.command("stop", check=0)
        with subprocess.Popen([PROGRAM, "run", "--idle-timeout", "1", "sleep", "60"], cwd=self.project, env=self.env,
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
            run.stderr.readline()
            self.wait(lambda: self.command("status").returncode == 0)
            children = [int(pid) for pid in open(f"/proc/{run.pid}/task/{run.pid}/children", encoding="ascii").read().split()]
            run.kill()
            run.wait()
        self.wait(lambda: self.command("status").returncode == 1)  # nobody uses it any more
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        users = os.path.join(self.home, ".metaflow-local-service")
        for name in os.listdir(users):
            self.assertTrue(name.endswith(".users"), name)
            os.unlink(os.path.join(users, name))

    def test_a_removed_directory_is_made_again(self):
        port = self.start()
        with self.client(port) as client:
            new_run(client)
            shutil.rmtree(self.root())
            self.wait(lambda: os.path.isdir(self.root()))
            self.wait(lambda: client.ask("POST", "/flows/Flow/run", {})[0] == 200)
            self.assertEqual(1, len(client.get("/flows/Flow/runs")))


class Interface(ServiceCase):
    def test_every_answer_names_the_version(self):
        with self.client() as client:
            status, headers, body = client.ask("GET", "/ping")
            self.assertEqual((200, b"pong"), (status, body))
            self.assertEqual("2.5.0", headers["METADATA_SERVICE_VERSION"])
            self.assertEqual("2.5.0", client.ask("GET", "/flows/No")[1]["METADATA_SERVICE_VERSION"])
            self.assertEqual({"status": "up"}, client.get("/healthcheck"))
            self.assertEqual(b"2.5.0", client.get("/version"))

    def test_objects(self):
        with self.client() as client:
            self.assertEqual(404, client.ask("GET", "/flows/Flow")[0])
            client.post("/flows/Flow", {"flow_id": "Flow", "ts_epoch": 5})
            self.assertEqual({"flow_id": "Flow", "ts_epoch": 5}, client.get("/flows/Flow"))
            self.assertEqual(409, client.ask("POST", "/flows/Flow", {})[0])
            run = new_run(client)
            client.post(f"/flows/Flow/runs/{run}/steps/start/step", {"user_name": "u"})
            self.assertEqual(409, client.ask("POST", f"/flows/Flow/runs/{run}/steps/start/step", {})[0])
            task = new_task(client, run)
            found = client.get(TASK.format(run, task))
            self.assertEqual((["a"], ["user:u"]), (found["tags"], found["system_tags"]))
            self.assertEqual([run], [r["run_number"] for r in client.get("/flows/Flow/runs")])
            self.assertEqual(["start"], [s["step_name"] for s in client.get(f"/flows/Flow/runs/{run}/steps")])
            self.assertEqual([found], client.get(f"/flows/Flow/runs/{run}/steps/start/tasks"))
            self.assertEqual(404, client.ask("POST", "/flows/Flow/runs/1/steps/start/task", {})[0])
            named = client.post("/flows/Flow/run", {"run_number": "argo-x"})["run_number"]
            self.assertEqual("argo-x", named)
            self.assertEqual(409, client.ask("POST", "/flows/Flow/run", {"run_number": "argo-x"})[0])

    def test_heartbeats_are_text_that_is_json(self):
        with self.client() as client:
            run = new_run(client)
            task = new_task(client, run)
            for path in (f"/flows/Flow/runs/{run}", TASK.format(run, task)):
                status, _, body = client.ask("POST", path + "/heartbeat", b"{}")
                self.assertEqual(200, status)
                self.assertGreater(json.loads(body)["wait_time_in_seconds"], 0)
            self.assertEqual(404, client.ask("POST", "/flows/Flow/runs/none/heartbeat", b"{}")[0])
            shown = client.get(f"/api/flows/Flow/runs/{run}")["data"]
            self.assertGreater(shown["last_heartbeat_ts"], 0)

    def test_racing_tags_all_arrive(self):
        port = self.start()
        with self.client(port) as client:
            run = new_run(client)

        def change(number):
            with self.client(port) as own:
                for i in range(5):
                    body = {"tags_to_add": [f"t{number}-{i}"], "tags_to_remove": [f"t{number}-{i - 1}"]}
                    status, _, value = own.ask("PATCH", f"/flows/Flow/runs/{run}/tag/mutate", body)
                    self.assertEqual(200, status, value)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(change, range(8)))
        with self.client(port) as client:
            tags = client.get(f"/flows/Flow/runs/{run}")["tags"]
            self.assertEqual(sorted(["a", *(f"t{i}-4" for i in range(8))]), tags)
            refused = client.ask("PATCH", f"/flows/Flow/runs/{run}/tag/mutate", {"tags_to_remove": ["user:u"]})
            self.assertEqual(422, refused[0])
            self.assertIn("system tag", refused[2]["detail"])
            self.assertEqual(404, client.ask("PATCH", "/flows/Flow/runs/none/tag/mutate", {})[0])

    def test_racing_creations_have_different_ids(self):
        port = self.start()

        def create(_):
            with self.client(port) as own:
                run = new_run(own)
                return [(run, new_task(own, run, step)) for step in ("start", "end", "start")]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            made = [pair for pairs in pool.map(create, range(16)) for pair in pairs]
        self.assertEqual(48, len(set(made)))
        self.assertEqual({"1", "2", "3"}, {task for _, task in made})

    def test_ui(self):
        with self.client() as client:
            runs = [new_run(client) for _ in range(3)]
            task = new_task(client, runs[0], "end")
            path = f"/flows/Flow/runs/{runs[0]}/steps/end/tasks/{task}"
            client.post(path + "/metadata", [
                {"field_name": "attempt", "value": "0", "ts_epoch": 1000, "tags": ["attempt_id:0"]},
                {"field_name": "attempt_ok", "value": "False", "ts_epoch": 2000, "tags": ["attempt_id:0"]},
                {"field_name": "attempt-done", "value": "0", "ts_epoch": 2000, "tags": ["attempt_id:0"]},
                {"field_name": "attempt", "value": "1", "ts_epoch": 3000, "tags": ["attempt_id:1"]}])
            self.assertEqual("running", client.get("/api" + path)["data"]["status"])
            client.post(path + "/metadata", [
                {"field_name": "attempt_ok", "value": "True", "ts_epoch": 5000, "tags": ["attempt_id:1"]}])
            shown = client.get("/api" + path)["data"]
            self.assertEqual(("completed", 1, 2000), (shown["status"], shown["attempt_id"], shown["duration"]))
            attempts = client.get("/api" + path + "/attempts")["data"]
            self.assertEqual(["failed", "completed"], [attempt["status"] for attempt in attempts])
            self.assertEqual("completed", client.get(f"/api/flows/Flow/runs/{runs[0]}")["data"]["status"])
            page = client.get("/api/runs?_limit=2&_page=1")
            self.assertEqual(2, len(page["data"]))
            self.assertEqual(2, page["pages"]["next"])
            self.assertEqual(1, len(client.get("/api/runs?_limit=2&_page=2")["data"]))
            self.assertEqual([runs[0]], [run["run_number"] for run in client.get("/api/runs?status=completed")["data"]])
            for path in ("/api/flows", "/api/flows/Flow", "/api/flows/autocomplete", f"/api/flows/Flow/runs/{runs[0]}/dag",
                         f"/api/flows/Flow/runs/{runs[0]}/tasks", f"/api/flows/Flow/runs/{runs[0]}/steps",
                         "/api/notifications"):
                self.assertEqual({"data", "status", "links", "pages", "query"}, set(client.get(path)), path)
            for path in ("/api/ping", "/api/features", "/api/plugin", "/api/links"):
                client.get(path)

    def test_logs_for_the_ui(self):
        with self.client() as client:
            run = new_run(client)
            task = new_task(client, run)
            log = os.path.join(self.root(), "Flow", run, "start", task, "0.runtime_stdout.log")
            with open(log, "wb") as file:
                file.write(b"[MFLOG|0|2026-11-21T11:19:40.949205Z|runtime|166820a1]done\nplain \xff\n")
            lines = client.get("/api" + TASK.format(run, task) + "/logs/out?attempt_id=0")["data"]
            self.assertEqual([(0, 1795259980949, "done"), (1, 0, "plain \\xff")],
                             [(line["row"], line["timestamp"], line["line"]) for line in lines])
            self.assertEqual([], client.get("/api" + TASK.format(run, task) + "/logs/err")["data"])

    def test_a_key_is_asked_for_when_set(self):
        port = self.start(METAFLOW_SERVICE_AUTH_KEY="secret-1")
        with self.client(port) as client:
            self.assertEqual(401, client.ask("GET", "/flows")[0])
            self.assertEqual(401, client.ask("GET", "/flows", x_api_key="secret-2")[0])
            self.assertEqual(200, client.ask("GET", "/flows", x_api_key="secret-1")[0])


class Crash(ServiceCase):
    def write_until_killed(self, port, told):
        """Records what the service has acknowledged."""
        client = Client(port)
        try:
            run = new_run(client)
            told.append(f"/flows/Flow/runs/{run}")
            for number in range(10000):
                task = TASK.format(run, new_task(client, run))
                told.append(task)
                client.post(task + "/metadata", [{"field_name": f"f{i}", "value": str(number)} for i in range(4)])
                told.append(task + "/metadata")
                client.post(task + "/artifact", [{"name": "x", "attempt_id": 0, "sha": "0" * 40}])
                told.append(task + "/artifacts/x/attempt/0")
                client.ask("PATCH", f"/flows/Flow/runs/{run}/tag/mutate", {"tags_to_add": [f"t{number % 20}"]})
        except (OSError, http.client.HTTPException):
            pass
        client.close()

    def check_files(self):
        for folder, _, names in os.walk(self.root()):
            for name in names:
                self.assertTrue(name.endswith(".json"), name)
                with open(os.path.join(folder, name), encoding="ascii") as file:
                    self.assertIsInstance(json.load(file), dict, name)

    def test_nothing_acknowledged_is_lost_and_nothing_is_torn(self):
        for round_number in range(6):
            port, pid, told = self.start(), self.pid(), []
            writers = [threading.Thread(target=self.write_until_killed, args=(port, told)) for _ in range(4)]
            for writer in writers:
                writer.start()
            time.sleep(0.02 + 0.037 * round_number)
            os.kill(pid, signal.SIGKILL)
            for writer in writers:
                writer.join()
            self.wait(lambda: self.command("status").returncode == 1)
            with self.client() as client:
                for path in told:
                    value = client.get(path)
                    self.assertTrue(len(value) == 4 if path.endswith("/metadata") else value, path)
                self.assertEqual(sorted({path.split("/")[4] for path in told} - {
                    run["run_number"] for run in client.get("/flows/Flow/runs")}), [])
            self.check_files()
            self.command("stop", check=0)


class Hostile(ServiceCase):
    def test_paths_stay_inside(self):
        secret = os.path.join(self.project, "_meta")
        os.makedirs(secret)
        with open(os.path.join(secret, "_self.json"), "w", encoding="ascii") as file:
            file.write('{"secret": 1}')
        with self.client() as client:
            new_run(client)
            before = sorted(os.listdir(self.project))
            names = ["..", ".", "%2e%2e", "%2f", "..%2f..", "a%2fb", "%00", "a%00b", "%ff%fe", "_meta", ".hidden", "%0a",
                     "x" * 300, "%c0%ae%c0%ae", "a%5cb%2f.."]
            for name in names:
                for method, path in (("GET", "/flows/{}"), ("GET", "/flows/{}/runs"), ("POST", "/flows/{}"),
                                     ("POST", "/flows/{}/run"), ("GET", "/flows/Flow/runs/{}"),
                                     ("GET", "/flows/Flow/runs/{}/steps"), ("POST", "/flows/Flow/runs/{}/steps/s/task"),
                                     ("POST", "/flows/Flow/runs/{}/heartbeat"), ("PATCH", "/flows/Flow/runs/{}/tag/mutate")):
                    status, _, body = client.ask(method, path.format(name), {} if method != "GET" else None)
                    self.assertIn(status, (400, 404, 405), (method, path, name, body))
                    self.assertNotIn("secret", str(body))
            for body in ({"run_number": "../x"}, {"run_number": ".."}, {"run_number": "a/b"}, {"run_number": "x" * 300},
                         {"run_number": "a\0b"}):
                self.assertEqual(400, client.ask("POST", "/flows/Flow/run", body)[0], body)
            self.assertEqual(before, sorted(os.listdir(self.project)))
            self.assertEqual({"Flow"}, set(os.listdir(self.root())))

    def test_links_lead_nowhere(self):
        with self.client() as client:
            run = new_run(client)
            outside = os.path.join(self.base, "outside")
            os.makedirs(os.path.join(outside, "_meta"))
            with open(os.path.join(outside, "_meta/_self.json"), "w", encoding="ascii") as file:
                file.write('{"secret": 1, "run_number": "2"}')
            os.symlink(outside, os.path.join(self.root(), "Flow", "2"))
            self.assertEqual([run], [found["run_number"] for found in client.get("/flows/Flow/runs")])
            self.assertEqual(404, client.ask("GET", "/flows/Flow/runs/2")[0])
            self.assertNotEqual(200, client.ask("POST", "/flows/Flow/runs/2/steps/s/task", {})[0])
            self.assertEqual(["_meta"], os.listdir(outside))

    def test_bodies(self):
        with self.client() as client:
            run = new_run(client)
            task = TASK.format(run, new_task(client, run))
            for body in (b"{", b"\xff", b"nul", b'{"a": 1e999}', b"[" * 100000, b'{"tags": {"a": 1}}', b'{"tags": [1]}',
                         b"[]", b'"x"', b"7"):
                self.assertEqual(400, client.ask("POST", "/flows/Flow/run", body)[0], body[:20])
                if body not in (b"[]", b'{"tags": {"a": 1}}'):
                    self.assertEqual(400, client.ask("POST", task + "/artifact", body)[0], body[:20])
            for body in ([1], ["x"], [{"name": "../x"}], [{"name": "x", "attempt_id": -1}], [{"attempt_id": 0}],
                         [{"name": "x" * 300, "attempt_id": 0}], [{"name": "x", "attempt_id": "0"}]):
                self.assertEqual(400, client.ask("POST", task + "/artifact", body)[0], body)
            with open(f"/proc/{self.pid()}/status", encoding="ascii") as file:
                before = int(file.read().split("VmRSS:")[1].split()[0])
            for size in (9, 64):
                with self.client(client.port) as huge:
                    try:
                        self.assertEqual(413, huge.ask("POST", task + "/metadata", b" " * (size << 20))[0])
                    except (BrokenPipeError, ConnectionResetError):
                        pass  # cut off while it was still sending
            with open(f"/proc/{self.pid()}/status", encoding="ascii") as file:
                self.assertLess(int(file.read().split("VmRSS:")[1].split()[0]), before + 16384)
            self.assertEqual("u", client.get(task)["user_name"])

    def test_foreign_pages_are_refused(self):
        with self.client() as client:
            own = f"http://127.0.0.1:{client.port}"
            for headers in ({"Host": "evil.example"}, {"Host": f"evil.example:{client.port}"}, {"Origin": "http://evil.example"},
                            {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}):
                self.assertEqual(403, client.ask("POST", "/flows/Flow/run", {}, **headers)[0], headers)
            for headers in ({"Host": "localhost"}, {"Origin": own}, {}):
                self.assertEqual(200, client.ask("GET", "/flows", **headers)[0], headers)
            self.assertEqual([], client.get("/flows"))

    def test_only_loopback_listens(self):
        port = self.start()
        listening = [line.split() for line in open("/proc/net/tcp", encoding="ascii") if f":{port:04X} " in line]
        self.assertEqual({f"0100007F:{port:04X}"}, {line[1] for line in listening if line[3] == "0A"})
        self.assertFalse([line for line in open("/proc/net/tcp6", encoding="ascii") if f":{port:04X} " in line])

    def test_slow_and_broken_clients_hold_nobody_up(self):
        port = self.start()
        stalled = []
        for number in range(100):
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            connection.sendall([b"", b"GET /flo", b"POST /flows/X/run HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{",
                                b"\x00\xff\x16\x03\x01"][number % 4])
            stalled.append(connection)
        with self.client(port) as client:
            for _ in range(20):
                new_run(client)
            self.assertEqual(20, len(client.get("/flows/Flow/runs")))
        for connection in stalled:
            connection.close()

    def test_readers_meanwhile_see_whole_records(self):
        port = self.start()
        with self.client(port) as client:
            run = new_run(client)
        end = threading.Event()

        def write():
            with self.client(port) as own:
                for i in range(60):
                    own.ask("PATCH", f"/flows/Flow/runs/{run}/tag/mutate", {"tags_to_add": [f"x{i % 20}" * 20]})
            end.set()
        thread = threading.Thread(target=write)
        thread.start()
        path = os.path.join(self.root(), "Flow", run, "_meta", "_self.json")
        reads = 0
        while not end.is_set() or not reads:
            with open(path, encoding="ascii") as file:
                self.assertEqual(run, json.load(file)["run_number"])
            reads += 1
        thread.join()


if __name__ == "__main__":
    if not os.access(PROGRAM, os.X_OK):
        skip(f"{PROGRAM} is not built")
    unittest.main()
