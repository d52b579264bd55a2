// The limits that policies make, over reloads: what is counted stays as long as a policy names it, files share it, and
// files that make it differently contradict each other.
import { utimesSync } from "node:fs"
import { afterAll, beforeEach, expect, test } from "bun:test"
import type { Loaded } from "../../src/config/loader.ts"
import { MemoryStore } from "../../src/limit/memory-store.ts"
import { names } from "../../src/limit/names.ts"
import { simulate } from "../../src/policy/simulated.ts"
import { PolicyFolder, problems, states, version } from "./policy-folder.ts"

let now = 0
const timers: { readonly at: number; readonly call: () => void }[] = []

beforeEach(() => {
  now = 0
  timers.length = 0
  const clock = () => now
  names.restart({
    clock,
    later: (milliseconds, call) => timers.push({ at: now + milliseconds, call }),
    store: new MemoryStore({ clock: () => 0 }),
  })
})
afterAll(() => names.restart())

function pass(milliseconds: number): void {
  now += milliseconds
  for (const timer of timers.filter(({ at }) => at <= now)) {
    timers.splice(timers.indexOf(timer), 1)
    timer.call()
  }
}

const IMPORT = `import { concurrencyLimit, rateLimit } from "tidegate"`

/** A policy that says whether its limit lets a connection through. */
function limited(options: string, { make = "rateLimit", name = "a", more = "" } = {}): string {
  return `${IMPORT}\n${more}\nconst limit = ${make}("${name}", ${options})\nexport const listen = "tcp://:5432"\nexport const on_tcp_connect = (connection) => limit.take(connection)\n`
}

const upTo = (limit: number) => `{ limit: ${limit}, per: "1 hour" }`

function connection(from = "192.0.2.1") {
  return simulate({ from, to: "tcp://:5432" })
}

/** What a policy says of so many connections. */
function passed(loaded: Loaded, file: string, connections: number): number {
  const { connect, resources } = version(loaded, file)
  let count = 0
  for (let i = 0; i < connections; i++) if (connect(connection().connection, resources) === true) count++
  return count
}

test("what a limit has counted outlives a reload, also one with other options", async () => {
  await using folder = new PolicyFolder({ "a.ts": limited(upTo(2)) })
  const loader = folder.loader()
  expect(passed(await loader.reload(), "a.ts", 5)).toBe(2)
  folder.write("a.ts", `${limited(upTo(2))}// another text`)
  expect(passed(await loader.reload(), "a.ts", 5)).toBe(0)
  folder.write("a.ts", limited(upTo(5)))
  expect(passed(await loader.reload(), "a.ts", 5)).toBe(3)
  folder.write("a.ts", limited("{ max: 1 }", { make: "concurrencyLimit" }))
  expect(passed(await loader.reload(), "a.ts", 5)).toBe(1)
})

test("a version that does not come to serve changes nothing", async () => {
  await using folder = new PolicyFolder({ "a.ts": limited(upTo(2)) })
  const loader = folder.loader()
  expect(passed(await loader.reload(), "a.ts", 1)).toBe(1)
  folder.write("a.ts", `${limited(upTo(100))}throw new Error("broken")`)
  const kept = await loader.reload()
  expect(states(kept)).toEqual({ "a.ts": "kept" })
  expect(passed(kept, "a.ts", 5)).toBe(1)
})

test("files that make the same limit share it, however they write it", async () => {
  await using folder = new PolicyFolder({
    "a.ts": limited(`{ limit: 3, per: "1 minute" }`),
    "b.ts": limited(`{ limit: 3, per: 60_000, burst: 3, key: "client" }`),
  })
  const loaded = await folder.loader().reload()
  expect(problems(loaded, folder)).toEqual([])
  expect([passed(loaded, "a.ts", 2), passed(loaded, "b.ts", 5), passed(loaded, "a.ts", 5)]).toEqual([2, 1, 0])
})

function savedAt(folder: PolicyFolder, times: Readonly<Record<string, number>>): void {
  for (const [file, seconds] of Object.entries(times)) utimesSync(folder.at(file), seconds, seconds)
}

test.each([
  [upTo(20), upTo(30), "limit is 20 in a.ts and 30 in b.ts"],
  [upTo(20), `{ limit: 20, per: "2 hours" }`, "per is 3600000 in a.ts and 7200000 in b.ts"],
  [upTo(20), `{ limit: 20, per: "1 hour", burst: 5 }`, "burst is 20 in a.ts and 5 in b.ts"],
  [upTo(20), `{ limit: 20, per: "1 hour", key: "all" }`, `key is "client" in a.ts and "all" in b.ts`],
  [
    `{ limit: 20, per: "1 hour", key: { ipv4: 24 } }`,
    upTo(20),
    `key is { ipv4: 24, ipv6: 64 } in a.ts and "client" in b.ts`,
  ],
  [upTo(20), `{ limit: 20, per: "1 hour", key: () => "x" }`, `key is "client" in a.ts and a function in b.ts`],
])("of two files with %s and %s the later saved is bad, at its limit", async (a, b, why) => {
  await using folder = new PolicyFolder({ "a.ts": limited(a), "b.ts": limited(b) })
  savedAt(folder, { "b.ts": 1000, "a.ts": 2000 })
  const loaded = await folder.loader().reload()
  expect(problems(loaded, folder)).toEqual([`a.ts:3:15 rateLimit "a": ${why}; a name has one limit`])
  expect(states(loaded)).toEqual({ "a.ts": "bad", "b.ts": "good" })
  expect(loaded.problems[0]?.frame?.at(-1)?.text).toStartWith("const limit = rateLimit(")
})

test("a file that comes into conflict keeps its last good version, and the limit its options", async () => {
  await using folder = new PolicyFolder({ "a.ts": limited(upTo(3)), "b.ts": limited(upTo(3)) })
  const loader = folder.loader()
  expect(passed(await loader.reload(), "b.ts", 2)).toBe(2)
  savedAt(folder, { "a.ts": 1000, "b.ts": 1000 })
  folder.write("b.ts", limited(upTo(100)))
  const conflict = await loader.reload()
  expect(states(conflict)).toEqual({ "a.ts": "good", "b.ts": "kept" })
  expect([passed(conflict, "b.ts", 5), passed(conflict, "a.ts", 5)]).toEqual([1, 0])
  folder.write("a.ts", limited(upTo(100)))
  const over = await loader.reload()
  expect(states(over)).toEqual({ "a.ts": "good", "b.ts": "good" })
  expect(passed(over, "b.ts", 100)).toBe(97)
})

test("one file that makes a limit in two ways contradicts itself", async () => {
  const twice = `const other = rateLimit("a", ${upTo(5)})`
  await using folder = new PolicyFolder({
    "a.ts": limited(upTo(3), { more: twice }),
    "b.ts": limited(upTo(1), { name: "b" }),
  })
  const loaded = await folder.loader().reload()
  expect(problems(loaded, folder)).toEqual([
    `a.ts:3:15 rateLimit "a": limit is 3 in a.ts and 5 elsewhere; a name has one limit`,
  ])
  folder.write("a.ts", limited(upTo(5), { more: twice }))
  expect(problems(await folder.loader().reload(), folder)).toEqual([])
})

test("the two kinds of limits have names of their own", async () => {
  await using folder = new PolicyFolder({
    "a.ts": limited(upTo(3)),
    "b.ts": limited("{ max: 1 }", { make: "concurrencyLimit" }),
  })
  expect((await folder.loader().reload()).problems).toEqual([])
})

const SHARED = `${IMPORT}\nexport const limit = rateLimit("shared", ${upTo(3)})`

function importing(more = ""): string {
  return `import { limit } from "./lib/shared.ts"\n${more}\nexport const listen = "tcp://:5432"\nexport const on_tcp_connect = (connection) => limit.take(connection)`
}

test("the limit of an imported module is that of every policy that imports it", async () => {
  await using folder = new PolicyFolder({
    "a.ts": importing(),
    "b.ts": importing(),
    "c.ts": limited(upTo(4), { name: "shared" }),
    "lib/shared.ts": SHARED,
  })
  savedAt(folder, { "a.ts": 1000, "c.ts": 2000, "b.ts": 3000 })
  const loaded = await folder.loader().reload()
  expect([passed(loaded, "a.ts", 2), passed(loaded, "b.ts", 2)]).toEqual([2, 1])
  expect(problems(loaded, folder)).toEqual([
    `c.ts:3:15 rateLimit "shared": limit is 4 in c.ts and 3 in a.ts; a name has one limit`,
  ])
  savedAt(folder, { "a.ts": 4000, "b.ts": 3000, "c.ts": 2000 })
  const other = await folder.loader().reload()
  const why = `rateLimit "shared": limit is 3 in`
  expect(problems(other, folder)).toEqual([
    `lib/shared.ts:2:22 ${why} a.ts and 4 in c.ts; a name has one limit`,
    `lib/shared.ts:2:22 ${why} b.ts and 4 in c.ts; a name has one limit`,
  ])
  expect(other.problems[0]?.frame?.at(-1)?.text).toStartWith("export const limit = rateLimit(")
})

const calling = (limit: number) =>
  `import { make } from "./lib/make.ts"\nconst limit = make(${limit})\nexport const listen = "tcp://:5432"\nexport const on_tcp_connect = (connection) => limit.take(connection)`

test("a limit that a function of an imported module makes is that of the policy which calls it", async () => {
  const maker = `${IMPORT}\nexport function make(limit) {\n  const made = rateLimit("made " + limit, { limit, per: "1 hour" })\n  return made\n}`
  await using folder = new PolicyFolder({
    "a.ts": calling(1),
    "b.ts": calling(2),
    "c.ts": limited(upTo(9), { name: "made 2" }),
    "lib/make.ts": maker,
  })
  savedAt(folder, { "a.ts": 1000, "c.ts": 2000, "b.ts": 3000 })
  const loaded = await folder.loader().reload()
  expect(states(loaded)).toEqual({ "a.ts": "good", "b.ts": "bad", "c.ts": "good" })
  expect(problems(loaded, folder)).toEqual([
    `b.ts:2:15 rateLimit "made 2": limit is 2 in b.ts and 9 in c.ts; a name has one limit`,
  ])
})

const keyed = (more: string) => limited(`{ limit: 3, per: "1 hour", key }`, { more })

test("a key that is a function is the same for files that import it from one module, and for no others", async () => {
  const imported = `import { key } from "./lib/key.ts"`
  await using folder = new PolicyFolder({
    "a.ts": keyed(imported),
    "b.ts": keyed(imported),
    "lib/key.ts": "export const key = ({ client }) => client.address",
  })
  const loader = folder.loader()
  const loaded = await loader.reload()
  expect(problems(loaded, folder)).toEqual([])
  expect([passed(loaded, "a.ts", 2), passed(loaded, "b.ts", 2)]).toEqual([2, 1])
  savedAt(folder, { "a.ts": 1000, "b.ts": 1000 })
  folder.write("b.ts", keyed("const key = ({ client }) => client.address"))
  expect(problems(await loader.reload(), folder)).toEqual([
    `b.ts:3:15 rateLimit "a": key is one function in b.ts and another in a.ts; a name has one limit: import the function from one module`,
  ])
})

const inSetup = (limit: number) =>
  `${IMPORT}\nexport const setup = async () => {\n  await Promise.resolve()\n  const limit = rateLimit("a", ${upTo(limit)})\n  return limit\n}\nexport const listen = "tcp://:5432"\nexport const on_tcp_connect = (connection, limit) => limit.take(connection)`

test("setup may make limits too, which may contradict those of other files", async () => {
  await using folder = new PolicyFolder({ "a.ts": inSetup(2), "b.ts": inSetup(2) })
  savedAt(folder, { "a.ts": 1000, "b.ts": 2000 })
  const loader = folder.loader()
  const loaded = await loader.reload()
  expect(problems(loaded, folder)).toEqual([])
  expect([passed(loaded, "a.ts", 1), passed(loaded, "b.ts", 5)]).toEqual([1, 1])
  folder.write("b.ts", inSetup(3))
  const conflict = await loader.reload()
  expect(states(conflict)).toEqual({ "a.ts": "good", "b.ts": "kept" })
  expect(problems(conflict, folder)).toEqual([
    `b.ts:4:17 rateLimit "a": limit is 3 in b.ts and 2 in a.ts; a name has one limit`,
  ])
})

test.each([
  ["the top of the file", `const limit = rateLimit("late", ${upTo(1)})`, "limit"],
  [
    "a top-level await",
    `const limit = await (async () => { await 1; const made = rateLimit("late", ${upTo(1)}); return made })()`,
    "limit",
  ],
  ["a class", `class Limits { static limit = rateLimit("late", ${upTo(1)}) }`, "Limits.limit"],
  [
    "a function that the top of the file calls",
    `const make = () => { const made = rateLimit("late", ${upTo(1)}); return made }\nconst limit = make()`,
    "limit",
  ],
])("a limit may be made in %s", async (_, made, limit) => {
  await using folder = new PolicyFolder({
    "a.ts": `${IMPORT}\n${made}\nexport const listen = "tcp://:1"\nexport const on_tcp_connect = (connection) => ${limit}.take(connection)`,
  })
  const loaded = await folder.loader().reload()
  expect(problems(loaded, folder)).toEqual([])
  expect(passed(loaded, "a.ts", 3)).toBe(1)
})

test("a module that is imported when a connection comes may make limits, and is known to the next commit", async () => {
  await using folder = new PolicyFolder({
    "a.ts": `export const listen = "tcp://:5432"\nexport const on_tcp_connect = async (connection) => (await import("./lib/shared.ts")).limit.take(connection)`,
    "lib/shared.ts": SHARED,
  })
  const loader = folder.loader()
  const loaded = await loader.reload()
  const { connect, resources } = version(loaded, "a.ts")
  expect(await connect(connection().connection, resources)).toBe(true)
  loader.commit(loaded.snapshot)
  const slot = names.rate('rateLimit "shared"')
  folder.write("a.ts", limited(upTo(1)))
  await loader.reload()
  pass(60_000)
  expect(slot.gone).toBe(true)
})

test.each([
  ["on_tcp_connect", `export const on_tcp_connect = (connection) => rateLimit("late", ${upTo(1)}).take(connection)`],
  [
    "what on_tcp_connect waits for",
    `export const on_tcp_connect = async (connection) => { await Promise.resolve(); return rateLimit("late", ${upTo(1)}).take(connection) }`,
  ],
  [
    "a function that on_tcp_connect calls",
    `const made = () => { const limit = rateLimit("late", ${upTo(1)}); return limit }\nexport const on_tcp_connect = (connection) => made().take(connection)`,
  ],
])("a limit made in %s is refused, with what to do instead", async (_, code) => {
  await using folder = new PolicyFolder({ "a.ts": `${IMPORT}\nexport const listen = "tcp://:1"\n${code}` })
  const loaded = await folder.loader().reload()
  const { connect, resources } = version(loaded, "a.ts")
  expect(Promise.try(() => connect(connection().connection, resources))).rejects.toThrow(
    'rateLimit "late": make it once, at the top of the file or in setup, and call take(connection) for each connection',
  )
})

test("counts go a minute after the last policy that names them, and not when it only moves", async () => {
  await using folder = new PolicyFolder({ "a.ts": limited(upTo(2)), "b.ts": limited(upTo(1), { name: "b" }) })
  const loader = folder.loader()
  const first = await loader.reload()
  expect([passed(first, "a.ts", 5), passed(first, "b.ts", 5)]).toEqual([2, 1])
  folder.rename("a.ts", "c.ts")
  const renamed = await loader.reload()
  pass(1e6)
  expect(passed(renamed, "c.ts", 5)).toBe(0)
  folder.remove("c.ts")
  await loader.reload()
  pass(50_000)
  folder.write("c.ts", limited(upTo(2)))
  const back = await loader.reload()
  pass(1e6)
  expect(passed(back, "c.ts", 5)).toBe(0)
  folder.remove("c.ts")
  await loader.reload()
  pass(60_000)
  folder.write("c.ts", limited(upTo(2)))
  const again = await loader.reload()
  expect([passed(again, "c.ts", 5), passed(again, "b.ts", 5)]).toEqual([2, 0])
})

test("a loader that closes names nothing any more", async () => {
  const folder = new PolicyFolder({ "a.ts": limited(upTo(1)) })
  expect(passed(await folder.loader().reload(), "a.ts", 1)).toBe(1)
  const slot = names.rate('rateLimit "a"')
  await folder[Symbol.asyncDispose]()
  pass(60_000)
  expect(slot.gone).toBe(true)
})

test("a bad limit is an error of its file, at its line", async () => {
  await using folder = new PolicyFolder({
    "a.ts": limited(`{ limt: 5, per: "1 hour" }`),
    "b.ts": limited(upTo(1), { name: "" }),
  })
  expect(problems(await folder.loader().load(), folder)).toEqual([
    'a.ts:3:15 LimitInvalid: rateLimit "a": there is no option "limt"; did you mean "limit"?',
    'b.ts:3:15 LimitInvalid: rateLimit: expected a name of 1 to 100 characters first, like rateLimit("per-client", { limit: 20, per: "1 minute" }), found ""',
  ])
})
