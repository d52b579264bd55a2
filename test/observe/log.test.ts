import { expect, test } from "bun:test"
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { captureConsole, Log, type LogOptions } from "../../src/observe/log.ts"

/** A log that writes to a file; `lines` flushes it first. */
function logToFile(options: Omit<LogOptions, "fd">) {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-log-"))
  const fd = openSync(join(folder, "log"), "w")
  const log = new Log({ ...options, fd })
  return {
    log,
    async lines() {
      expect(await log.flush(5000)).toBe(true)
      return readFileSync(join(folder, "log"), "utf8").split("\n").slice(0, -1)
    },
    [Symbol.dispose]() {
      log.close()
      closeSync(fd)
      rmSync(folder, { recursive: true })
    },
  }
}

test("JSON lines have time, level and message, then the fields", async () => {
  using file = logToFile({ format: "json" })
  file.log.warn("half full", { listener: "tcp://:5432", level: "not this one" })
  file.log.info("plain")
  const [first, second] = (await file.lines()).map((line) => JSON.parse(line))
  expect(first).toEqual({ time: expect.any(String), level: "warn", message: "half full", listener: "tcp://:5432" })
  expect(new Date(first.time).toISOString()).toBe(first.time)
  expect(second).toEqual({ time: expect.any(String), level: "info", message: "plain" })
})

test("lines below the level are left out", async () => {
  using file = logToFile({ format: "json", level: "warn" })
  file.log.debug("no")
  file.log.info("no")
  file.log.error("yes")
  expect((await file.lines()).map((line) => JSON.parse(line).message)).toEqual(["yes"])
})

test("a message cannot forge a line or act on the terminal", async () => {
  using file = logToFile({ format: "pretty", color: false })
  file.log.error("policy failed: \u001b[2J\n12:00:00.000 info  all is well", { sni: "a\u202eb" })
  expect(await file.lines()).toEqual([
    expect.stringMatching(/^\d\d:\d\d:\d\d\.\d{3} error policy failed: \\e\[2J$/),
    '    12:00:00.000 info  all is well  {"sni":"a\\u{202e}b"}',
  ])
})

test("fields that JSON has no words for are shown all the same", async () => {
  using file = logToFile({ format: "json" })
  const loop: Record<string, unknown> = { count: 1n }
  loop["loop"] = loop
  file.log.info("odd", loop)
  expect(JSON.parse((await file.lines())[0]!)).toMatchObject({ message: "odd", fields: expect.stringContaining("1n") })
})

test("a very long message is cut", async () => {
  using file = logToFile({ format: "json" })
  file.log.info("x".repeat(1_000_000))
  expect((await file.lines())[0]!.length).toBeLessThan(20_000)
})

test("what is printed with console goes to the log until it is disposed", async () => {
  using file = logToFile({ format: "json", level: "debug" })
  const { log, error, table } = console
  {
    using _captured = captureConsole(file.log)
    console.log("answer %d", 42, { a: 1 })
    console.warn(new Error("odd"))
    console.error("worse")
    console.debug("detail")
    console.table([{ a: 1 }])
  }
  expect([console.log, console.error, console.table]).toEqual([log, error, table])
  const lines = (await file.lines()).map((line) => JSON.parse(line))
  expect(lines.map(({ level }) => level)).toEqual(["info", "warn", "error", "debug", "info"])
  expect(lines[0].message).toBe("answer 42 { a: 1 }")
  expect(lines[1].message).toContain("odd")
})
