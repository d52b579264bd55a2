import { afterEach, beforeEach, expect, test } from "bun:test"
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { askControl, ControlFailed, NotRunning, openControl, type Status } from "../../src/admin/control.ts"
import { controlPlaces } from "../../src/admin/control-path.ts"

const FIXTURE = join(import.meta.dir, "control-fixture.ts")
const STATUS: Status = {
  pid: process.pid,
  version: "0.1.0",
  startedAt: "2026-01-02T12:00:00.000Z",
  ready: true,
  draining: false,
  snapshot: "0123456789ab",
  connections: { active: 1, max: 100, accepted: 7 },
  listeners: [],
  files: [],
  certificates: [],
  lists: [],
  databases: [],
  pools: [],
  events: { dropped: 0 },
}
const status = () => STATUS

let base: string
let folder: string
const runtimeBefore = process.env["XDG_RUNTIME_DIR"]

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "tidegate-control-"))
  folder = join(base, "policies")
  mkdirSync(folder)
  process.env["XDG_RUNTIME_DIR"] = base
})

afterEach(() => {
  if (runtimeBefore === undefined) delete process.env["XDG_RUNTIME_DIR"]
  else process.env["XDG_RUNTIME_DIR"] = runtimeBefore
  rmSync(base, { recursive: true })
})

/** Runs a command as another user. */
function as(user: number, ...command: string[]) {
  const identity = [`--reuid=${user}`, `--regid=${user}`, "--clear-groups"]
  return Bun.spawn(["setpriv", ...identity, ...command], { stdout: "pipe" })
}

/** Sends raw bytes, with a FIN after them or not, and gives everything that came back until the close. */
function raw(path: string, bytes: string, options: { fin?: boolean } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ""
    Bun.connect({
      unix: path,
      socket: {
        open(socket) {
          socket.write(bytes)
          if (options.fin === true) socket.shutdown()
        },
        data(_socket, chunk) {
          answer += chunk.toString()
        },
        close: () => resolve(answer),
      },
    }).catch(reject)
  })
}

test("a gateway answers for its folder, also by another path to it", async () => {
  const control = await openControl({ folder, status })
  symlinkSync(folder, join(base, "link"))
  expect(await askControl({ folder: join(base, "link") }, "status")).toEqual(STATUS)
  control.close()
  await expect(askControl({ folder }, "status")).rejects.toThrow(NotRunning)
})

test("the socket is its owner's alone, and gone after closing", async () => {
  const control = await openControl({ folder, status })
  expect(statSync(control.path).mode & 0o777).toBe(0o600)
  expect(statSync(join(base, "tidegate")).mode & 0o777).toBe(0o700)
  control.close()
  expect(existsSync(control.path)).toBe(false)
})

test("the mode of files that are made afterwards is not touched", async () => {
  const before = process.umask()
  const control = await openControl({ folder, status })
  expect(process.umask()).toBe(before)
  control.close()
})

test("another folder has another socket", async () => {
  mkdirSync(join(base, "other"))
  const control = await openControl({ folder, status })
  await expect(askControl({ folder: join(base, "other") }, "status")).rejects.toThrow(NotRunning)
  control.close()
})

test("a socket that a killed gateway left behind is replaced", async () => {
  const child = Bun.spawn([process.execPath, FIXTURE, folder], { stdout: "pipe", env: process.env })
  const reader = child.stdout.getReader()
  const path = new TextDecoder().decode((await reader.read()).value).trim()
  child.kill("SIGKILL")
  await child.exited
  expect(existsSync(path)).toBe(true)
  const control = await openControl({ folder, status })
  expect(control.path).toBe(path)
  expect(await askControl({ folder }, "status")).toEqual(STATUS)
  control.close()
})

test("a live gateway is not replaced, and the error names its pid", async () => {
  const control = await openControl({ folder, status })
  await expect(openControl({ folder, status })).rejects.toThrow(`already serves this folder (pid ${process.pid})`)
  expect(await askControl({ folder }, "status")).toEqual(STATUS)
  control.close()
})

test("a file that is no socket is not replaced", async () => {
  const path = join(base, "precious")
  await Bun.write(path, "data")
  await expect(openControl({ folder, path, status })).rejects.toThrow("there is a file that is no socket")
  expect(await Bun.file(path).text()).toBe("data")
})

test("a path that is too long for a socket is refused with its limit", async () => {
  const path = join(base, "x".repeat(120))
  await expect(openControl({ folder, path, status })).rejects.toThrow("at most 107 bytes")
})

test("a folder that others may write to is passed over", async () => {
  mkdirSync(join(base, "tidegate"))
  chmodSync(join(base, "tidegate"), 0o777)
  const control = await openControl({ folder, status })
  expect(control.path.startsWith(base)).toBe(false)
  expect(await askControl({ folder }, "status")).toEqual(STATUS)
  control.close()
})

test("an abstract name works like a path", async () => {
  const path = `@tidegate-test-${process.pid}`
  const control = await openControl({ folder, path, status })
  expect(control.path).toBe(path)
  expect(await askControl({ folder, path }, "status")).toEqual(STATUS)
  await expect(openControl({ folder, path, status })).rejects.toThrow(`(pid ${process.pid})`)
  control.close()
  await expect(askControl({ folder, path }, "status")).rejects.toThrow(NotRunning)
})

test("the last place is an abstract name, for where nothing can be written", () => {
  expect(controlPlaces(folder).at(-1)).toEqual({
    path: expect.stringMatching(new RegExp(`^\\0tidegate-${process.getuid?.()}-[0-9a-f]{16}$`)),
    folder: undefined,
  })
})

test.skipIf(process.getuid?.() !== 0)("an abstract name answers only our own user and root", async () => {
  const path = `@tidegate-test-users-${process.pid}`
  const ask = `printf '{"command":"status"}\\n' | socat -t5 - ABSTRACT-CONNECT:${path.slice(1)}`
  // The gateway is nobody's; nobody, daemon and root ask.
  const gateway = as(65534, process.execPath, FIXTURE, "/", path)
  await gateway.stdout.getReader().read()
  const answers = await Promise.all([65534, 1, 0].map(async (user) => as(user, "sh", "-c", ask).stdout.text()))
  gateway.kill()
  expect(answers.map((answer) => answer.includes(`"pid":${gateway.pid}`))).toEqual([true, false, true])
})

test("a request may end with a newline or with a FIN, and come in pieces", async () => {
  const control = await openControl({ folder, status })
  expect(JSON.parse(await raw(control.path, '{"command":"status"}\n'))).toEqual(STATUS)
  expect(JSON.parse(await raw(control.path, '{"command":"status"}', { fin: true }))).toEqual(STATUS)
  control.close()
})

test("what is no command is answered with an error", async () => {
  const control = await openControl({ folder, status })
  const requests = ["\n", "null\n", "[]\n", '{"command":"halt"}\n', "x".repeat(5000), '{"command":\n']
  const answers = await Promise.all(requests.map(async (request) => JSON.parse(await raw(control.path, request))))
  expect(answers).toEqual(requests.map(() => ({ error: expect.any(String) })))
  control.close()
})

test("a status that fails is an answer, not the end of the gateway", async () => {
  const control = await openControl({
    folder,
    status: () => {
      throw new Error("not yet")
    },
  })
  expect(await askControl({ folder }, "status")).toEqual({ error: "not yet" })
  control.close()
})

test("a long answer arrives whole", async () => {
  const problems = Array.from({ length: 20_000 }, (_, i) => `problem ${i} ${"x".repeat(200)}`)
  const long = { ...STATUS, files: [{ file: "a.ts", state: "bad" as const, problems }] }
  const control = await openControl({ folder, status: () => long })
  expect(await askControl({ folder }, "status")).toEqual(long)
  control.close()
})

test("more than sixteen at a time are turned away, and room is made again", async () => {
  const control = await openControl({ folder, status })
  let open = 0
  const turnedAway = Promise.withResolvers<void>()
  const sockets = await Promise.all(
    Array.from({ length: 17 }, () =>
      Bun.connect({
        unix: control.path,
        socket: { open: () => void open++, data() {}, close: () => turnedAway.resolve() },
      }),
    ),
  )
  await turnedAway.promise
  expect(open).toBe(17)
  await expect(askControl({ folder }, "status")).rejects.toThrow(ControlFailed)
  for (const socket of sockets) socket.terminate()
  let answer: unknown
  while (answer === undefined) answer = await askControl({ folder }, "status").catch(() => undefined)
  expect(answer).toEqual(STATUS)
  control.close()
})

test("what answers but is no gateway is named as such", async () => {
  const path = join(base, "other.sock")
  using _other = Bun.listen({ unix: path, socket: { data: (socket) => void socket.end("220 hello\r\n") } })
  await expect(askControl({ folder, path }, "status")).rejects.toThrow("not JSON")
  await expect(openControl({ folder, path, status })).rejects.toThrow("another program listens there")
})
