// `serve` as a process: how it starts, follows files, obeys signals, and what it says.
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { expect, test } from "bun:test"
import { EchoClient, startEcho } from "../helper/echo.ts"
import { installed } from "../helper/servers.ts"
import { freePort } from "../helper/ports.ts"
import { RUNTIME, serve, start, type Served } from "../helper/serve.ts"

const MAIN = resolve(import.meta.dir, "../../src/main.ts")

const answers = (listen: string, text: string) => `import { respond } from "tidegate"
export const listen = ${JSON.stringify(listen)}
export const on_tcp_connect = () => respond(${JSON.stringify(text)})
`
const routes = (port: number) => `import { route } from "tidegate"
export const listen = "tcp://127.0.0.1:0"
export const on_tcp_connect = () => route("tcp://127.0.0.1:${port}")
`

/** What a client is answered; `undefined` when nobody listens. */
async function ask(port: number, hostname = "127.0.0.1"): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  let answer = ""
  await Bun.connect({
    hostname,
    port,
    socket: {
      data: (_, chunk) => void (answer += chunk.toString()),
      close: () => resolve(answer),
      connectError: () => resolve(undefined),
    },
  }).catch(() => resolve(undefined))
  return promise
}

/** Asks until the answer is this one. */
async function until(port: number, answer: string | undefined): Promise<void> {
  while ((await ask(port)) !== answer) await new Promise((resolve) => setImmediate(resolve))
}

const said = (gateway: Served, text: string) =>
  gateway.until(() => gateway.log.some(({ message }) => message.includes(text)))

test("a file that is saved, edited, broken, mended, renamed and deleted is followed each time", async () => {
  const [base, port] = [freePort(), freePort()]
  await using gateway = await serve({ "base.ts": answers(`tcp://127.0.0.1:${base}`, "base") })
  const listen = `tcp://127.0.0.1:${port}`
  gateway.write("my-db.ts", answers(listen, "one"))
  await until(port, "one")
  gateway.write("my-db.ts", answers(listen, "two"))
  await until(port, "two")
  gateway.write("my-db.ts", `${answers(listen, "three")}}`)
  await said(gateway, "my-db.ts:4:1")
  expect(await ask(port)).toBe("two")
  gateway.write("my-db.ts", answers(listen, "four"))
  await until(port, "four")
  renameSync(join(gateway.folder, "my-db.ts"), join(gateway.folder, "your-db.ts"))
  await said(gateway, "now asks your-db.ts")
  expect(await ask(port)).toBe("four")
  unlinkSync(join(gateway.folder, "your-db.ts"))
  await until(port, undefined)
  expect(await ask(base)).toBe("base")
})

test("a file that hangs while it is loaded or set up holds no other one up, and serves when it is mended", async () => {
  const ports = { base: freePort(), code: freePort(), other: freePort(), setup: freePort() }
  const text = (name: keyof typeof ports, answer: string) => answers(`tcp://127.0.0.1:${ports[name]}`, answer)
  await using gateway = await serve({ "base.ts": text("base", "base"), "setup.ts": text("setup", "old") })
  gateway.write("code.ts", `await new Promise(() => {})\n${text("code", "never")}`)
  gateway.write("setup.ts", `${text("setup", "never")}export const setup = () => new Promise(() => {})\n`)
  await said(gateway, "code.ts is still loading: its top-level code has not finished")
  await said(gateway, "setup.ts is still loading: its setup has not finished")
  for (const answer of ["one", "two"]) {
    gateway.write("other.ts", text("other", answer))
    await until(ports.other, answer)
  }
  expect(await ask(ports.setup)).toBe("old")
  expect(await ask(ports.code)).toBeUndefined()
  gateway.write("code.ts", text("code", "mended"))
  gateway.write("setup.ts", text("setup", "mended"))
  await until(ports.code, "mended")
  await until(ports.setup, "mended")
  // All of it before what hangs was given up.
  expect(gateway.log.filter(({ level }) => level === "error")).toEqual([])
}, 20_000)

test("what took long serves as soon as it is ready, without another save", async () => {
  const [base, port] = [freePort(), freePort()]
  await using gateway = await serve({ "base.ts": answers(`tcp://127.0.0.1:${base}`, "base") })
  const elsewhere = mkdtempSync(join(tmpdir(), "tidegate-go-"))
  const go = join(elsewhere, "go")
  const wait = `while (!existsSync(${JSON.stringify(go)})) await new Promise((resolve) => setTimeout(resolve, 5))`
  gateway.write(
    "slow.ts",
    `import { existsSync } from "node:fs"\n${wait}\n${answers(`tcp://127.0.0.1:${port}`, "slow")}`,
  )
  gateway.write("base.ts", answers(`tcp://127.0.0.1:${base}`, "next"))
  await until(base, "next")
  expect(await ask(port)).toBeUndefined()
  writeFileSync(go, "")
  await until(port, "slow")
  rmSync(elsewhere, { recursive: true })
}, 20_000)

test("fifty files that change together, as by git checkout, cost no client anything", async () => {
  const ports = Array.from({ length: 50 }, freePort)
  const files = (text: string) =>
    Object.fromEntries(ports.map((port, i) => [`p${i}.ts`, answers(`tcp://127.0.0.1:${port}`, text)]))
  await using gateway = await serve(files("old"))
  const git = (...words: string[]) =>
    execFileSync("git", ["-C", gateway.folder, "-c", "user.name=t", "-c", "user.email=t@example.com", ...words], {
      stdio: "pipe",
    })
  git("init", "-q", "-b", "old")
  git("add", ".")
  git("commit", "-qm", "old")
  git("checkout", "-qb", "new")
  for (const [file, text] of Object.entries(files("new"))) gateway.write(file, text)
  await Promise.all(ports.map((port) => until(port, "new")))
  git("commit", "-qam", "new")
  const seen = new Set<string | undefined>()
  const done = new AbortController()
  const asking = (async () => {
    for (let i = 0; !done.signal.aborted; i++) seen.add(await ask(ports[i % 50]!))
  })()
  git("checkout", "-q", "old")
  await Promise.all(ports.map((port) => until(port, "old")))
  done.abort()
  await asking
  expect([...seen].filter((answer) => answer !== "old" && answer !== "new")).toEqual([])
}, 30_000)

test("a mounted ConfigMap, whose links are swapped, is followed", async () => {
  const port = freePort()
  await using gateway = await serve({ "base.ts": answers(`tcp://127.0.0.1:${freePort()}`, "base") })
  const version = (name: string, text: string) => {
    mkdirSync(join(gateway.folder, name))
    writeFileSync(join(gateway.folder, name, "map.ts"), answers(`tcp://127.0.0.1:${port}`, text))
  }
  version("..one", "one")
  symlinkSync("..one", join(gateway.folder, "..data"))
  symlinkSync("..data/map.ts", join(gateway.folder, "map.ts"))
  await until(port, "one")
  version("..two", "two")
  symlinkSync("..two", join(gateway.folder, "..data_tmp"))
  renameSync(join(gateway.folder, "..data_tmp"), join(gateway.folder, "..data"))
  rmSync(join(gateway.folder, "..one"), { recursive: true })
  await until(port, "two")
})

test("a folder that is replaced by another is followed", async () => {
  const port = freePort()
  await using gateway = await serve({ "p.ts": answers(`tcp://127.0.0.1:${port}`, "old folder") })
  const other = `${gateway.folder}-new`
  mkdirSync(other)
  writeFileSync(join(other, "p.ts"), answers(`tcp://127.0.0.1:${port}`, "new folder"))
  renameSync(gateway.folder, `${gateway.folder}-old`)
  renameSync(other, gateway.folder)
  await until(port, "new folder")
  writeFileSync(join(gateway.folder, "p.ts"), answers(`tcp://127.0.0.1:${port}`, "edited"))
  await until(port, "edited")
  rmSync(`${gateway.folder}-old`, { recursive: true })
})

test("a bad file stops the start with exit code 2, before anything is bound", async () => {
  const port = freePort()
  await using gateway = start({
    "good.ts": answers(`tcp://127.0.0.1:${port}`, "good"),
    "bad.ts": "export const lisen = 1\nexport function on_tcp_conect() {}\n",
    "worse.ts": "import { rout } from 'tidegate'\nexport const on_tcp_connect = () => rout('x')\n",
  })
  expect(await gateway.exited).toBe(2)
  const messages = gateway.log.map(({ message }) => message).join("\n")
  expect(messages).toContain("bad.ts:1:14")
  expect(messages).toContain('did you mean "listen"?')
  expect(messages).toContain('did you mean "on_tcp_connect"?')
  expect(messages).toContain("worse.ts:1:10")
})

test("a port that is taken stops the start with exit code 1 and names the file and who holds it", async () => {
  using holder = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } })
  await using gateway = start({ "db.ts": answers(`tcp://127.0.0.1:${holder.port}`, "x") })
  expect(await gateway.exited).toBe(1)
  const message = gateway.log.map((line) => line.message).join("\n")
  expect(message).toContain("db.ts")
  expect(message).toContain(`tcp://127.0.0.1:${holder.port}`)
  expect(message).toContain(`(pid ${process.pid})`)
})

test("a listener whose port is taken while it runs is down, is tried again, and holds nothing else back", async () => {
  const held = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } })
  const { port } = held
  const other = freePort()
  await using gateway = await serve({ "base.ts": answers(`tcp://127.0.0.1:${freePort()}`, "base") })
  gateway.write("late.ts", answers(`tcp://127.0.0.1:${port}`, "late"))
  gateway.write("other.ts", answers(`tcp://127.0.0.1:${other}`, "other"))
  await said(gateway, `cannot listen on tcp://127.0.0.1:${port}`)
  await until(other, "other")
  held.stop(true)
  await said(gateway, `tcp://127.0.0.1:${port} is open again`)
  expect(await ask(port)).toBe("late")
}, 20_000)

test("SIGTERM drains: no new connections, live ones end in their own time, exit code 0", async () => {
  await using echo = await startEcho()
  await using gateway = await serve({ "echo.ts": routes(echo.port) })
  const port = await gateway.port("echo.ts")
  const client = await EchoClient.connect(port)
  await client.echo(new Uint8Array(10))
  gateway.signal("SIGTERM")
  await said(gateway, "draining 1 connections")
  await until(port, undefined)
  await client.echo(new Uint8Array(10))
  client.end()
  expect(await gateway.exited).toBe(0)
  expect(gateway.events.map((event) => event.close.reason)).toEqual(["client-closed"])
  await said(gateway, "drained: 1 connections ended, 0 cut")
})

test("what has not ended after the drain time is cut and says so", async () => {
  await using echo = await startEcho()
  await using gateway = await serve({ "echo.ts": routes(echo.port) }, "--drain", "200ms")
  const client = await EchoClient.connect(await gateway.port("echo.ts"))
  await client.echo(new Uint8Array(10))
  gateway.signal("SIGTERM")
  expect(await gateway.exited).toBe(0)
  await gateway.until(() => gateway.events.length === 1)
  expect(gateway.events[0]!.close).toEqual({ reason: "shutdown", by: "gateway" })
  await said(gateway, "drained: 0 connections ended, 1 cut")
})

test("with --shutdown-delay it is not ready first but still accepts", async () => {
  const port = freePort()
  await using gateway = await serve(
    { "p.ts": answers(`tcp://127.0.0.1:${port}`, "still here") },
    "--shutdown-delay",
    "1s",
  )
  const ready = () =>
    Bun.spawnSync([process.execPath, MAIN, "status", "--ready", gateway.folder], {
      env: { ...process.env, XDG_RUNTIME_DIR: RUNTIME },
    }).exitCode
  expect(ready()).toBe(0)
  gateway.signal("SIGTERM")
  await said(gateway, "not ready, still accepting")
  expect(ready()).toBe(1)
  expect(await ask(port)).toBe("still here")
  expect(await gateway.exited).toBe(0)
})

test("a second signal ends it at once", async () => {
  await using echo = await startEcho()
  await using gateway = await serve({ "echo.ts": routes(echo.port) })
  const client = await EchoClient.connect(await gateway.port("echo.ts"))
  await client.echo(new Uint8Array(10))
  gateway.signal("SIGINT")
  await said(gateway, "draining 1 connections")
  gateway.signal("SIGINT")
  expect(await gateway.exited).toBe(130)
  await gateway.until(() => gateway.events.length === 1)
  expect(gateway.events[0]!.close.reason).toBe("shutdown")
})

test("SIGHUP tries again what failed without a change of its text", async () => {
  const port = freePort()
  await using gateway = await serve({
    "base.ts": answers(`tcp://127.0.0.1:${freePort()}`, "base"),
    "state.txt": "down",
  })
  gateway.write(
    "moody.ts",
    `import { readFileSync } from "node:fs"
if (readFileSync(${JSON.stringify(join(gateway.folder, "state.txt"))}, "utf8") === "down") throw new Error("not today")
${answers(`tcp://127.0.0.1:${port}`, "today")}`,
  )
  await said(gateway, "not today")
  gateway.write("state.txt", "up")
  gateway.signal("SIGHUP")
  await until(port, "today")
})

test.skipIf(!installed("python3"))("a socket that systemd hands over is served", async () => {
  const port = freePort()
  const script = `import socket, os
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", ${port})); s.listen(64)
os.dup2(s.fileno(), 3); os.set_inheritable(3, True)
os.environ["LISTEN_FDS"] = "1"; os.environ["LISTEN_PID"] = str(os.getpid())
import sys; os.execv(sys.argv[1], sys.argv[1:])`
  const folder = mkdtempSync(join(tmpdir(), "tidegate-"))
  writeFileSync(join(folder, "passed.ts"), answers(`tcp://127.0.0.1:${port}`, "handed over"))
  const child = Bun.spawn(["python3", "-c", script, process.execPath, "--no-install", MAIN, "serve", folder], {
    stdout: "ignore",
    stderr: "ignore",
  })
  await until(port, "handed over")
  child.kill("SIGTERM")
  expect(await child.exited).toBe(0)
  rmSync(folder, { recursive: true })
})
