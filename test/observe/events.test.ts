import { expect, setSystemTime, test } from "bun:test"
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { closedJson, closedText, Events, Refusals, span, type Refusal } from "../../src/observe/events.ts"
import { painter } from "../../src/observe/paint.ts"
import type { CloseReason, Summary } from "../../src/policy/connection.ts"
import { route } from "../../src/policy/decision.ts"
import { gateway } from "../helper/data-path.ts"

const DOCS = await Bun.file(join(import.meta.dir, "../../docs/events.md")).text()
const EXAMPLES = Array.from(DOCS.matchAll(/```json\n(.*?)```/gs), (match) => JSON.parse(match[1]!))
const LISTENER = { name: "*:5432", url: "tcp://:5432" }
const plain = painter(false)

function example(type: string) {
  const found = EXAMPLES.find(({ event_type }) => event_type === type)
  expect(found).toBeDefined()
  return found
}

function at(second: string): string {
  return `2026-01-02T12:00:00.${second}Z`
}

/** The example of the manual with parts of it changed. */
function summary(changes: Partial<Summary> = {}): Summary {
  return { ...example("tcp_connection_closed.v0").object, ...changes }
}

/** The keys of an object with the types of their values, through all its levels. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return "list"
  if (typeof value !== "object" || value === null) return typeof value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shape(inner)]))
}

function eventsToFile(format: "json" | "pretty" | "none") {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-events-"))
  const fd = openSync(join(folder, "events"), "w")
  const events = new Events({ format, fd, color: false })
  return {
    events,
    async lines() {
      expect(await events.flush(5000)).toBe(true)
      return readFileSync(join(folder, "events"), "utf8").split("\n").slice(0, -1)
    },
    [Symbol.dispose]() {
      events.close()
      closeSync(fd)
      rmSync(folder, { recursive: true })
    },
  }
}

test("the manual's example has the keys and types of a real event, in the same order", async () => {
  using upstream = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket, bytes) => void socket.end(bytes) },
  })
  using running = gateway((connection) => {
    connection.log({ tenant: "acme" })
    return route(`tcp://127.0.0.1:${upstream.port}`)
  })
  await Bun.connect({
    hostname: "127.0.0.1",
    port: running.port,
    socket: { open: (socket) => void socket.write("hello"), data() {} },
  })
  const [closed] = await running.ended(1)
  const event = JSON.parse(closedJson(closed!))
  const documented = example("tcp_connection_closed.v0")
  expect(JSON.stringify(shape(event), null, 1)).toBe(JSON.stringify(shape(documented), null, 1))
  expect(event.event_id).toBe(`ev_${closed!.conn.id}`)
  expect(event.event_timestamp).toBe(closed!.conn.end_ts)
  expect(event.object).toEqual(closed)
})

test("the manual explains every field and every close reason", () => {
  const reasons = {
    "client-closed": 1,
    "upstream-closed": 1,
    "client-reset": 1,
    "upstream-reset": 1,
    denied: 1,
    answered: 1,
    "no-decision": 1,
    "no-policy": 1,
    "policy-failed": 1,
    "policy-timeout": 1,
    "preread-timeout": 1,
    "preread-too-large": 1,
    "hello-invalid": 1,
    "proxy-invalid": 1,
    "proxy-untrusted": 1,
    "tls-handshake-failed": 1,
    "dial-failed": 1,
    "no-target": 1,
    "idle-timeout": 1,
    "max-duration": 1,
    "limit-reached": 1,
    shutdown: 1,
    "operator-closed": 1,
    "internal-error": 1,
  } satisfies Record<CloseReason, 1>
  const rows = DOCS.split("\n").filter((line) => line.startsWith("| `"))
  const named = new Set(
    rows.flatMap((row) => Array.from(row.split("|")[1]!.matchAll(/`([^`]+)`/g), (match) => match[1])),
  )
  const fields = Object.entries(summary()).flatMap(([key, value]) =>
    typeof value === "object" && value !== null ? Object.keys(value).map((inner) => `${key}.${inner}`) : [key],
  )
  expect([...Object.keys(reasons), ...fields].filter((name) => !named.has(name))).toEqual([])
})

test("log fields that are not JSON do not cost the event", () => {
  const loop: Record<string, unknown> = {}
  loop["loop"] = loop
  const event = JSON.parse(closedJson(summary({ traffic_policy: { logs: [loop] } })))
  expect(event.object.close).toEqual(summary().close)
  expect(event.object.traffic_policy.logs).toEqual([{ "log() failed": expect.any(String) }])
})

test("a line of JSON carries nothing that acts on a terminal", () => {
  const reason = "\u009b2J\u202eevil\nline"
  const line = closedJson(summary({ policy: { ...summary().policy!, reason } }))
  expect(line).toMatch(/^[\p{L}\p{N}\p{P}\p{S}\p{Zs}]+$/u)
  expect(JSON.parse(line).object.policy.reason).toBe(reason)
})

test("a readable line says who, where, which policy, which upstream, how much, how long and why", () => {
  expect(closedText(summary(), plain).replace(/^\S+/, "TIME")).toBe(
    'TIME  203.0.113.9:51234 -> *:5432  my-db.ts route  tcp://db-1.internal:5432 (10.0.0.3:5432)  in 1.2 kB out 31 kB  3.2 s  client-closed by client  {"tenant":"acme"}',
  )
})

test("a readable line of a denied, a failed and an unreached connection says why", () => {
  const base = { upstream: null, traffic_policy: { logs: [] } }
  const policy = { file: "a.ts", rule: null, version: "0".repeat(12) }
  const text = (changes: Partial<Summary>) =>
    closedText(summary({ ...base, ...changes }), plain)
      .split("  ")
      .slice(2)
  expect(
    text({
      policy: { ...policy, decision: "deny", reason: "not\u001b[2J in the office" },
      close: { reason: "denied", by: "gateway" },
    }),
  ).toEqual(['a.ts deny "not\\e[2J in the office"', "in 1.2 kB out 31 kB", "3.2 s", "denied by gateway"])
  expect(
    text({
      policy: { ...policy, decision: null, reason: "oops" },
      close: { reason: "policy-failed", by: "gateway" },
    }),
  ).toEqual(['a.ts no decision "oops"', "in 1.2 kB out 31 kB", "3.2 s", "policy-failed by gateway"])
  expect(
    text({
      policy: null,
      upstream: { pool: null, target: "tcp://db:1", address: null, attempts: 3, error: "ENOTFOUND" },
      close: { reason: "dial-failed", by: "gateway" },
    }),
  ).toEqual([
    "no policy",
    "tcp://db:1 (ENOTFOUND, attempt 3)",
    "in 1.2 kB out 31 kB",
    "3.2 s",
    "dial-failed by gateway",
  ])
})

test("colour is there when it is asked for, and a unix client has no address", () => {
  const conn = { ...summary().conn, client_ip: null, client_port: null }
  const line = closedText(summary({ conn }), painter(true))
  expect(line).toContain("\u001b[32mroute\u001b[0m")
  expect(line).toContain("unix -> *:5432")
})

test("lengths of time are said as people say them", () => {
  expect([0.04, 0.26, 12.4, 999, 1500, 61_000, 3_600_000, 90_061_000].map(span)).toEqual([
    "0 ms",
    "0.3 ms",
    "12 ms",
    "999 ms",
    "1.5 s",
    "1 min 1 s",
    "1 h 0 min",
    "25 h 1 min",
  ])
})

test("refused clients are summed up per listener and reason, with the first and last moment", () => {
  const reports: Refusal[] = []
  const refusals = new Refusals((refusal) => reports.push(refusal))
  try {
    setSystemTime(new Date("2026-01-02T12:00:00.100Z"))
    for (let i = 0; i < 1000; i++) refusals.add(LISTENER, "limit-reached")
    setSystemTime(new Date("2026-01-02T12:00:00.900Z"))
    refusals.add(LISTENER, "limit-reached")
    refusals.add({ name: "other", url: "tcp://:1" }, "limit-reached")
  } finally {
    setSystemTime()
  }
  refusals.flush()
  refusals.flush()
  expect(reports).toEqual([
    { listener: LISTENER, count: 1001, reason: "limit-reached", from_ts: at("100"), until_ts: at("900") },
    {
      listener: { name: "other", url: "tcp://:1" },
      count: 1,
      reason: "limit-reached",
      from_ts: at("900"),
      until_ts: at("900"),
    },
  ])
})

test("refused clients are reported by themselves within about a second", async () => {
  const { promise, resolve } = Promise.withResolvers<Refusal>()
  const started = performance.now()
  new Refusals(resolve).add(LISTENER, "limit-reached")
  expect((await promise).count).toBe(1)
  expect(performance.now() - started).toBeGreaterThan(900)
})

test("both kinds of event are written with the keys that the manual shows", async () => {
  using file = eventsToFile("json")
  file.events.closed(summary())
  file.events.refused(LISTENER, "limit-reached")
  const [closed, refused] = (await file.lines()).map((line) => JSON.parse(line))
  expect(closed.object).toEqual(summary())
  expect(shape(refused)).toEqual(shape(example("tcp_connections_refused.v0")))
  expect(refused.object).toMatchObject({ listener: LISTENER, count: 1, reason: "limit-reached" })
})

test("pretty writes lines for people, none writes nothing", async () => {
  using pretty = eventsToFile("pretty")
  using none = eventsToFile("none")
  for (const { events } of [pretty, none]) {
    events.closed(summary())
    events.refused(LISTENER, "limit-reached")
    events.refused(LISTENER, "limit-reached")
  }
  const lines = await pretty.lines()
  expect(lines).toHaveLength(2)
  expect(lines[1]).toMatch(/^\S+ {2}\*:5432 {2}2 clients refused: limit-reached$/)
  expect(await none.lines()).toEqual([])
})

test("dropped events are counted, and an event says so when there is room again", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-events-"))
  const path = join(folder, "pipe")
  Bun.spawnSync(["mkfifo", path])
  // Both ends, so that opening it waits for nobody.
  const fd = openSync(path, "r+")
  const events = new Events({ format: "json", fd })
  const longest = summary({ policy: { ...summary().policy!, reason: "x".repeat(1024 * 1024) } })
  for (let i = 0; i < 20; i++) events.closed(longest)
  expect(events.dropped).toBeGreaterThan(10)
  const reader = Bun.spawn(["cat", path])
  expect(await events.flush(10_000)).toBe(true)
  events.close()
  closeSync(fd)
  const lines = (await reader.stdout.text())
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line))
  const reports = lines.filter(({ event_type }) => event_type === "events_dropped.v0")
  expect(reports.map(shape)).toEqual([shape(example("events_dropped.v0"))])
  expect(reports[0].object.count).toBe(events.dropped)
  expect(lines.length - 1 + events.dropped).toBe(20)
  rmSync(folder, { recursive: true })
})
