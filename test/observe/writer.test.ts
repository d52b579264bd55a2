import { expect, test } from "bun:test"
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { LineWriter } from "../../src/observe/writer.ts"

const FIXTURE = join(import.meta.dir, "writer-fixture.ts")

interface Report {
  readonly blocked: number
  readonly waiting: number
  readonly flushed: boolean
  readonly dropped: number
  readonly pool: boolean
}

/** Runs the fixture under a shell that decides where its stdout goes. */
async function run(shell: string, ...args: string[]): Promise<{ out: string; report: Report }> {
  const child = Bun.spawn(
    ["bash", "-c", shell.replaceAll("WRITER", `"${process.execPath}" "${FIXTURE}" "$@"`), "-", ...args],
    {
      stdout: "pipe",
      stderr: "pipe",
    },
  )
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()])
  await child.exited
  return { out, report: JSON.parse(err.trim().split("\n").at(-1)!) }
}

/** A named pipe, its reading end open, in a folder that goes away with it. */
function fifo() {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-writer-"))
  const path = join(folder, "pipe")
  Bun.spawnSync(["mkfifo", path])
  const reader = () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  return { path, reader, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) }
}

function read(fd: number): string {
  const buffer = Buffer.alloc(1 << 20)
  return buffer.toString("utf8", 0, readSync(fd, buffer))
}

test("every line reaches a reader that keeps up, in order", async () => {
  const { out, report } = await run("WRITER | cat", "all", "20000")
  expect(out.split("\n").map(Number.parseFloat)).toEqual([...Array.from({ length: 20000 }, (_, i) => i), Number.NaN])
  expect(report).toMatchObject({ dropped: 0, flushed: true })
})

test("lines are appended to a file", async () => {
  using pipe = fifo()
  const file = `${pipe.path}.log`
  await Bun.write(file, "before\n")
  await run(`WRITER >> "${file}"`, "all", "3", "1")
  expect(readFileSync(file, "utf8")).toBe("before\n0 x\n1 x\n2 x\n")
})

test("a full pipe holds up neither the loop nor Bun's threads, and what does not fit is counted", async () => {
  using pipe = fifo()
  const reader = pipe.reader()
  const writing = openSync(pipe.path, constants.O_WRONLY)
  const child = Bun.spawn([process.execPath, FIXTURE, "stuck", "200000"], { stdout: writing, stderr: "pipe" })
  const report: Report = await child.stderr.json()
  closeSync(reader)
  closeSync(writing)
  expect(report.pool).toBe(true)
  expect(report.flushed).toBe(false)
  expect(report.waiting).toBeLessThanOrEqual(8 * 1024 * 1024)
  expect(report.dropped).toBeGreaterThan(100_000)
})

test("a full unix socket, as systemd's journal is one, holds up nothing either", async () => {
  using pipe = fifo()
  const path = `${pipe.path}.sock`
  using _server = Bun.listen({ unix: path, socket: { open: (socket) => socket.pause(), data() {} } })
  const exec = `EXEC:${process.execPath} ${FIXTURE} stuck 200000,nofork`
  const child = Bun.spawn(["socat", `UNIX-CONNECT:${path}`, exec], { stdin: "ignore", stderr: "pipe" })
  const report: Report = await child.stderr.json()
  expect(report.pool).toBe(true)
  expect(report.flushed).toBe(false)
  expect(report.dropped).toBeGreaterThan(100_000)
})

test("written and dropped lines add up, and the count is reported once there is room", async () => {
  using pipe = fifo()
  const reader = pipe.reader()
  const writing = openSync(pipe.path, constants.O_WRONLY)
  const child = Bun.spawn([process.execPath, FIXTURE, "small", "20000"], { stdout: writing, stderr: "pipe" })
  closeSync(writing)
  const stderr = child.stderr.getReader()
  expect(new TextDecoder().decode((await stderr.read()).value)).toBe("full\n")
  const [out, last] = await Promise.all([Bun.spawn(["cat", pipe.path]).stdout.text(), stderr.read()])
  closeSync(reader)
  const report: Report = JSON.parse(new TextDecoder().decode(last.value))
  const lines = out.trimEnd().split("\n")
  expect(report.dropped).toBeGreaterThan(0)
  expect(lines.filter((line) => /^\d/.test(line)).length + report.dropped).toBe(20000)
  expect(lines.filter((line) => line.startsWith("dropped"))).toEqual([`dropped ${report.dropped}`])
  expect(lines.at(-1)).toBe("after")
})

test("a reader that went away costs lines, not the process", async () => {
  const { report } = await run("WRITER | true", "all", "1000")
  expect(report).toMatchObject({ flushed: true, dropped: 1000 })
})

test("a full disk costs lines, not the process", async () => {
  const { report } = await run("WRITER > /dev/full", "all", "1000")
  expect(report).toMatchObject({ flushed: true, dropped: 1000 })
})

test("the last lines of a process that exits are written", async () => {
  expect((await run("WRITER | cat", "exit", "1", "1")).out).toBe("0 x\nlast words\n")
})

test("a descriptor that is not open drops every line", async () => {
  const writer = new LineWriter(12345)
  writer.write("to nobody")
  expect(await writer.flush(1000)).toBe(true)
  expect(writer.dropped).toBe(1)
  writer.close()
})

test("lines are written again when a reader returns, each from its start", async () => {
  using pipe = fifo()
  const first = pipe.reader()
  const fd = openSync(pipe.path, constants.O_WRONLY)
  const writer = new LineWriter(fd, { droppedLine: (count) => `dropped ${count}` })
  // Longer than the pipe: the reader leaves inside the line.
  writer.write("x".repeat(100_000))
  expect(await writer.flush(1)).toBe(false)
  expect(read(first).length).toBe(65536)
  closeSync(first)
  expect(await writer.flush(1000)).toBe(true)
  expect(writer.dropped).toBe(1)
  const second = pipe.reader()
  writer.write("again")
  expect(await writer.flush(1000)).toBe(true)
  expect(read(second)).toBe("\nagain\ndropped 1\n")
  writer.close()
  closeSync(second)
  closeSync(fd)
})

test("two writers of one pipe, as with 2>&1, do not break each other's lines", async () => {
  using pipe = fifo()
  const reader = pipe.reader()
  const fd = openSync(pipe.path, constants.O_WRONLY)
  const [first, second] = [new LineWriter(fd), new LineWriter(fd)]
  // Each line is longer than the pipe, so that each is written in parts.
  first.write("a".repeat(100_000))
  second.write("b".repeat(100_000))
  first.write("a".repeat(100_000))
  const cat = Bun.spawn(["cat", pipe.path])
  expect(await Promise.all([first.flush(5000), second.flush(5000)])).toEqual([true, true])
  for (const writer of [first, second]) writer.close()
  closeSync(reader)
  closeSync(fd)
  const lines = (await cat.stdout.text()).trimEnd().split("\n")
  expect(lines.map((line) => [line.length, new Set(line).size])).toEqual([
    [100_000, 1],
    [100_000, 1],
    [100_000, 1],
  ])
})

test("closing counts what still waits", () => {
  using pipe = fifo()
  const reader = pipe.reader()
  const fd = openSync(pipe.path, constants.O_WRONLY)
  const writer = new LineWriter(fd)
  for (let i = 0; i < 5; i++) writer.write("y".repeat(60_000))
  writer.close()
  writer.write("too late")
  const written = read(reader).split("\n").length - 1
  expect(writer.dropped + written).toBe(6)
  closeSync(reader)
  closeSync(fd)
})
