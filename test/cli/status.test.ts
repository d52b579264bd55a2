import { expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openControl, type Status } from "../../src/admin/control.ts"

const FIXTURE = join(import.meta.dir, "status-fixture.ts")
const STATUS: Status = {
  pid: 4711,
  version: "0.1.0",
  startedAt: "2026-01-02T12:00:00.000Z",
  ready: true,
  draining: false,
  snapshot: "0123456789ab",
  connections: { active: 3, max: 9872, accepted: 12 },
  listeners: [
    { name: "tcp:*:5432", url: "tcp://:5432", state: "up", address: "*:5432", files: ["a.ts", "b.ts"], active: 3 },
    {
      name: "unix:/run/x.sock",
      url: "unix:/run/x.sock",
      state: "paused",
      address: "/run/x.sock",
      files: [],
      active: 0,
    },
  ],
  files: [{ file: "a.ts", state: "good", version: "5f0c2a91be34", problems: [] }],
  certificates: [],
  lists: [],
  databases: [],
  pools: [],
  events: { dropped: 0 },
}
const DOWN: Status["listeners"][number] = {
  name: "tcp:*:80",
  url: "tcp://:80",
  state: "down",
  error: "EADDRINUSE: held by nginx (pid 12)",
  files: ["web.ts"],
  active: 0,
}

/** Runs `status` against a gateway that answers with `found`, or against none. */
async function run(found: Status | undefined, ...flags: string[]) {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-status-"))
  const control = found === undefined ? undefined : await openControl({ folder, status: () => found })
  const child = Bun.spawn([process.execPath, FIXTURE, folder, ...flags], { stdout: "pipe", stderr: "pipe" })
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  control?.close()
  rmSync(folder, { recursive: true })
  return { out, err: err.replaceAll(folder, "FOLDER"), code }
}

test("the table shows the gateway, its listeners and its files", async () => {
  const { out, err, code } = await run(STATUS)
  const [first, ...rest] = out.trimEnd().split("\n")
  expect(first).toMatch(/^ready {2}pid 4711, version 0\.1\.0, up .+, snapshot 0123456789ab$/)
  expect(rest).toEqual([
    "3 of at most 9872 connections, 12 accepted since the start",
    "",
    "LISTENER          STATE   ADDRESS      ACTIVE  POLICIES",
    "tcp:*:5432        up      *:5432       3       a.ts, b.ts",
    "unix:/run/x.sock  paused  /run/x.sock  0       -",
    "",
    "FILE  STATE  VERSION",
    "a.ts  good   5f0c2a91be34",
  ])
  expect({ err, code }).toEqual({ err: "", code: 0 })
})

/** The line about connections, with so many clients held. */
const shown = async (held: number) =>
  (await run({ ...STATUS, connections: { ...STATUS.connections, held } })).out.split("\n")[1]

test("the table shows how many clients are held, where there are any", async () => {
  expect(await shown(2)).toBe("3 of at most 9872 connections, 2 of them held, 12 accepted since the start")
  expect(await shown(0)).toBe("3 of at most 9872 connections, 12 accepted since the start")
})

test("the table shows the first server names of a listener", async () => {
  const { name: _, ...listener } = STATUS.listeners[0]!
  const { out } = await run({
    ...STATUS,
    listeners: [
      { ...listener, name: "*:443", names: { count: 100_000, first: ["a.example", "*.b.example", "x\u001b[2J", "c"] } },
      { ...listener, name: "*:444", names: { count: 1, first: ["*"] } },
      STATUS.listeners[1]!,
    ],
  })
  expect(out.split("\n").slice(3, 7)).toEqual([
    "LISTENER          STATE   ADDRESS      ACTIVE  POLICIES    NAMES",
    "*:443             up      *:5432       3       a.ts, b.ts  a.example, *.b.example, x\\e[2J and 99997 more",
    "*:444             up      *:5432       3       a.ts, b.ts  *",
    "unix:/run/x.sock  paused  /run/x.sock  0       -           -",
  ])
})

test("the table shows the certificates, when each expires and for which names it is", async () => {
  const names = ["a.example", "*.a.example", "10.0.0.1", "b.example"]
  const expires = "2026-12-31T23:59:59.000Z"
  const { out } = await run({
    ...STATUS,
    certificates: [
      { file: "a.crt", names, algorithm: "ecdsa", expires },
      { file: "old/tls.crt", names: [], algorithm: "rsa", expires },
    ],
  })
  expect(out.trimEnd().split("\n").slice(-4)).toEqual([
    "",
    "CERTIFICATE  EXPIRES     KEY    NAMES",
    "a.crt        2026-12-31  ecdsa  a.example, *.a.example, 10.0.0.1 and 1 more",
    "old/tls.crt  2026-12-31  rsa    -",
  ])
})

test("the table shows the address lists, and why the newest text of one is not used", async () => {
  const loaded = "2026-12-31T23:59:59.123Z"
  const { out } = await run({
    ...STATUS,
    lists: [
      { file: "policies/blocklist.txt", prefixes: 1_000_000, loaded, took: 240 },
      { file: "b.txt", prefixes: 1, loaded, took: 0, problem: 'b.txt:3:1: "x" is not a CIDR' },
    ],
  })
  expect(out.trimEnd().split("\n").slice(-5)).toEqual([
    "",
    "ADDRESS LIST            STATE  PREFIXES  LOADED",
    "policies/blocklist.txt  good   1000000   2026-12-31 23:59:59Z in 240 ms",
    "b.txt                   kept   1         2026-12-31 23:59:59Z in 0 ms",
    '  b.txt:3:1: "x" is not a CIDR',
  ])
})

type Pool = Status["pools"][number]
type Target = Pool["targets"][number]

const target = (name: string, changes: Partial<Target> = {}): Target => {
  const counts = { active: 2, attempts: 100, failures: 0, connectMs: 0.42 }
  return { name, target: `tcp://${name}:5432`, state: "up", weight: 1, priority: 0, ...counts, ...changes }
}
const pool = (name: string, targets: readonly Target[], changes: Partial<Pool> = {}): Pool => {
  return { name, balance: "round-robin", queued: 0, retries: 0, targets, dns: [], ...changes }
}
const poolLines = async (...pools: readonly Pool[]) =>
  (await run({ ...STATUS, pools })).out.trimEnd().split("\n").slice(10)

test("the table shows a pool and its targets", async () => {
  expect(await poolLines(pool("db", [target("db-1")]))).toEqual([
    "POOL db  1 of 1 up, round-robin, 2 connections",
    "  TARGET  STATE  ACTIVE  ATTEMPTS  FAILED  CONNECT",
    "  db-1    up     2       100       0       0.42 ms",
  ])
  expect(await poolLines(pool("dns", []))).toEqual(["POOL dns  no targets, round-robin, 0 connections"])
  const dns = [{ name: "dns://db:1\u001b[2J", problem: "db: SERVFAIL\u001b[2J" }]
  expect(await poolLines(pool("dns", [target("db-1")], { dns }))).toEqual([
    "POOL dns  1 of 1 up, round-robin, 2 connections",
    "  TARGET  STATE  ACTIVE  ATTEMPTS  FAILED  CONNECT",
    "  db-1    up     2       100       0       0.42 ms",
    "  dns://db:1\\e[2J: db: SERVFAIL\\e[2J",
  ])
})

test("targets that are not up come first, those that are down with the reason", async () => {
  const targets = [
    target("db-1"),
    target("db-2", { state: "off", weight: 0, active: 0 }),
    target("db-3", { state: "ejected", failures: 3, priority: 1 }),
    target("db-4\u001b[2J", { state: "down", active: 0, connectMs: undefined, problem: "ECONNREFUSED\u001b[2J" }),
    target("db-5", { state: "open", failures: 40, weight: 0.333333 }),
  ]
  expect(await poolLines(pool("db", targets, { queued: 1, retries: 1 }), pool("web", [target("w")]))).toEqual([
    "POOL db  1 of 5 up, round-robin, 6 connections, 1 waiting, 1 retry",
    "  TARGET     STATE    ACTIVE  ATTEMPTS  FAILED  CONNECT  WEIGHT  PRIORITY  PROBLEM",
    "  db-4\\e[2J  down     0       100       0       -        1       0         ECONNREFUSED\\e[2J",
    "  db-3       ejected  2       100       3       0.42 ms  1       1         -",
    "  db-5       open     2       100       40      0.42 ms  0.33    0         -",
    "  db-2       off      0       100       0       0.42 ms  0       0         -",
    "  db-1       up       2       100       0       0.42 ms  1       0         -",
    "",
    "POOL web  1 of 1 up, round-robin, 2 connections",
    "  TARGET  STATE  ACTIVE  ATTEMPTS  FAILED  CONNECT",
    "  w       up     2       100       0       0.42 ms",
  ])
})

test("of a pool with 1,000 targets the first 20 are shown, and the others counted by their states", async () => {
  const targets = Array.from({ length: 1000 }, (_, i) => target(`t${i}`, i % 25 === 24 ? { state: "down" } : {}))
  const lines = await poolLines(pool("many", targets))
  expect(lines).toHaveLength(23)
  expect(lines[0]).toBe("POOL many  960 of 1000 up, round-robin, 2000 connections")
  expect(lines.slice(2, 22).every((line) => line.includes(" down "))).toBe(true)
  expect(lines[22]).toBe("  ... and 20 more down, 960 more up")
})

test("of more than 10 pools one line is shown, and the targets that are not up", async () => {
  const pools = Array.from({ length: 12 }, (_, i) => pool(`p${i}`, [target("a"), target("b")]))
  const lines = await poolLines(...pools.slice(1), pool("bad", [target("a"), target("b", { state: "down" })]))
  expect(lines).toEqual([
    ...pools.slice(1).map(({ name }) => `POOL ${name}  2 of 2 up, round-robin, 4 connections`),
    "POOL bad  1 of 2 up, round-robin, 4 connections",
    "  TARGET  STATE  ACTIVE  ATTEMPTS  FAILED  CONNECT",
    "  b       down   2       100       0       0.42 ms",
  ])
})

test("the table shows what is wrong, escaped", async () => {
  const problems = ["bad\u001b[2J.ts:1:2: expected }\n  > 1 | x"]
  const { out } = await run({
    ...STATUS,
    listeners: [DOWN],
    files: [{ file: "bad\u202e.ts", state: "kept", version: "1", problems }],
    events: { dropped: 5 },
  })
  expect(out.split("\n").slice(2)).toEqual([
    "5 events dropped: they were not read in time",
    "",
    "LISTENER  STATE  ADDRESS  ACTIVE  POLICIES",
    "tcp:*:80  down   -        0       web.ts",
    "  tcp:*:80: EADDRINUSE: held by nginx (pid 12)",
    "",
    "FILE            STATE  VERSION",
    "bad\\u{202e}.ts  kept   1",
    "  bad\\e[2J.ts:1:2: expected }",
    "    > 1 | x",
    "",
  ])
})

test("JSON is the whole status", async () => {
  const { out, code } = await run(STATUS, "--json")
  expect(JSON.parse(out)).toEqual(STATUS)
  expect(code).toBe(0)
})

test.each([
  ["ready", {}, 0],
  ["not ready", { ready: false }, 1],
  ["draining", { ready: false, draining: true }, 1],
  ["listeners down", { listeners: [DOWN] }, 1],
] as const)("--ready says %s in one line", async (word, changes, code) => {
  expect(await run({ ...STATUS, ...changes }, "--ready")).toEqual({ out: `${word}\n`, err: "", code })
})

test("without --ready a listener that is down does not fail the command, not being ready does", async () => {
  expect((await run({ ...STATUS, listeners: [DOWN] })).code).toBe(0)
  expect((await run({ ...STATUS, ready: false }, "--json")).code).toBe(1)
})

test("where no gateway runs it says so and how to start one", async () => {
  expect(await run(undefined)).toEqual({
    out: "",
    err: "tidegate: no gateway runs for FOLDER\n  Start one with: tidegate serve FOLDER; with serve --control PATH, give status the same\n",
    code: 1,
  })
  expect((await run(undefined, "--ready", "--control=/nowhere/x.sock")).err).toContain(
    "no gateway runs at /nowhere/x.sock",
  )
})

test("a folder that does not exist is named", async () => {
  const child = Bun.spawn([process.execPath, FIXTURE, "/no/such/folder"], { stdout: "pipe", stderr: "pipe" })
  expect(await child.stderr.text()).toBe("tidegate: there is no folder /no/such/folder\n")
  expect(await child.exited).toBe(1)
})
