// SPDX-License-Identifier: Apache-2.0
// The official JavaScript clients drive the server: what they are pointed at comes from the
// environment. Run by the tests beside it.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(process.env.NODE_MODULES + "/");
const e2b = require("e2b");
const { Daytona } = require("@daytonaio/sdk");

async function commands(box) {
  const seen = [];
  const result = await box.commands.run("echo out; echo err >&2; echo $FROM", { onStdout: (text) => seen.push(text) });
  assert.deepEqual([result.stdout, result.stderr, result.exitCode], ["out\nyes\n", "err\n", 0]);
  assert.equal(seen.join(""), "out\nyes\n");
  await assert.rejects(box.commands.run("exit 7"), (error) => error.exitCode === 7);
  await assert.rejects(box.commands.run("sleep 30", { timeoutMs: 300 }), e2b.TimeoutError);
  const cat = await box.commands.run("cat", { background: true, stdin: true });
  await box.commands.sendStdin(cat.pid, "to the cat\n");
  assert.ok((await box.commands.list()).some((process) => process.pid === cat.pid));
  assert.equal(await box.commands.kill(cat.pid), true);
  await assert.rejects(cat.wait());
  const out = [];
  const pty = await box.pty.create({ cols: 90, rows: 30, onData: (data) => out.push(Buffer.from(data)) });
  await box.pty.sendInput(pty.pid, new TextEncoder().encode("stty size; exit 3\n"));
  await assert.rejects(pty.wait(), (error) => error.exitCode === 3);
  assert.match(Buffer.concat(out).toString(), /30 90/);
}

async function files(box) {
  await box.files.write("deep/a.txt", "text ä");
  assert.equal(await box.files.read("deep/a.txt"), "text ä");
  const large = Buffer.alloc(6 << 20, "0123456789abcdef!");
  await box.files.write("/tmp/large", large.buffer.slice(large.byteOffset, large.byteOffset + large.length));
  assert.ok(large.equals(Buffer.from(await box.files.read("/tmp/large", { format: "bytes" }))));
  assert.deepEqual((await box.files.list("deep")).map((entry) => entry.name), ["a.txt"]);
  assert.equal(await box.files.exists("/tmp/none"), false);
  assert.equal(await box.files.makeDir("/tmp/watched"), true);
  const events = [];
  const watch = await box.files.watchDir("/tmp/watched", (event) => events.push(event.name));
  await box.files.write("/tmp/watched/new", "1");
  for (let i = 0; i < 250 && !events.includes("new"); i++) await new Promise((done) => setTimeout(done, 20));
  assert.ok(events.includes("new"));
  await watch.stop();
  await assert.rejects(box.files.read("/tmp/none"), e2b.NotFoundError);
  await box.files.remove("/tmp/large");
}

async function driveE2b() {
  const box = await e2b.Sandbox.create({ timeoutMs: 120000, metadata: { js: "1" }, envs: { FROM: "yes" } });
  try {
    await Promise.all([commands(box), files(box)]);
    const listed = await e2b.Sandbox.list({ query: { metadata: { js: "1" } } }).nextItems();
    assert.deepEqual(listed.map((item) => item.sandboxId), [box.sandboxId]);
    const again = await e2b.Sandbox.connect(box.sandboxId);
    assert.equal(await again.files.read("deep/a.txt"), "text ä");
    const url = await box.downloadUrl("deep/a.txt", { useSignatureExpiration: 60 });
    const answer = await fetch(url, { headers: { "E2b-Sandbox-Id": box.sandboxId } });
    assert.equal(await answer.text(), "text ä");
    await assert.rejects(e2b.Sandbox.connect("sb-none"), e2b.NotFoundError);
  } finally {
    assert.equal(await box.kill(), true);
  }
  assert.equal(await box.isRunning(), false);
}

// One sandbox that everybody shares, and no API.
async function driveDebug() {
  const box = await e2b.Sandbox.create();
  await files(box);
  assert.equal((await box.commands.run("echo $FROM", { envs: { FROM: "debug" } })).stdout, "debug\n");
}

async function driveDaytona() {
  const daytona = new Daytona();
  const box = await daytona.create({ labels: { js: "1" }, envVars: { FROM: "yes" } });
  try {
    const result = await box.process.executeCommand("echo $FROM; exit 3");
    assert.deepEqual([result.exitCode, result.result], [3, "yes\n"]);
    await box.fs.uploadFile(Buffer.from("text ä"), "/tmp/a.txt");
    assert.equal((await box.fs.downloadFile("/tmp/a.txt")).toString(), "text ä");
    assert.ok((await box.fs.listFiles("/tmp")).some((file) => file.name === "a.txt"));
    await box.process.createSession("s");
    const sync = await box.process.executeSessionCommand("s", { command: "cd /tmp; pwd" });
    assert.equal(sync.exitCode, 0);
    const run = await box.process.executeSessionCommand("s", { command: "pwd; echo bad >&2", runAsync: true });
    let out = "", bad = "";
    await box.process.getSessionCommandLogs("s", run.cmdId, (text) => { out += text; }, (text) => { bad += text; });
    assert.deepEqual([out.trim(), bad.trim()], ["/tmp", "bad"]);
    assert.equal((await daytona.get(box.id)).id, box.id);
  } finally {
    await daytona.delete(box);
  }
  await assert.rejects(daytona.get(box.id));
}

if (process.env.E2B_DEBUG) await driveDebug();
if (process.env.E2B_API_KEY) await driveE2b();
if (process.env.DAYTONA_API_KEY) await driveDaytona();
console.log("done");
process.exit(0);
