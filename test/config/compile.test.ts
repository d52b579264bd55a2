// Which policies are asked at which listener, in which order, and which files contradict each other.
import { expect, test } from "bun:test"
import { utimesSync } from "node:fs"
import { byName } from "../../src/config/compile.ts"
import type { Loaded } from "../../src/config/loader.ts"
import { answer, policy, PolicyFolder, problems, states, version } from "./policy-folder.ts"

const silent = "export function on_tcp_connect() {}"

function listening(listen: string, extra = ""): string {
  return `${extra}\nexport const listen = ${listen}\n${silent}`
}

function asked(loaded: Loaded): Record<string, readonly string[]> {
  return Object.fromEntries(
    [...loaded.snapshot.listeners.values()].map(({ name, policies }) => [name, policies.map(({ file }) => file)]),
  )
}

test("files that name a listener and files without listen are asked, in the order of their names by code point", async () => {
  await using folder = new PolicyFolder({
    "b.ts": listening(`"tcp://:5432"`),
    "a.ts": listening(`["tcp://:5432", "unix:/run/x.sock", "tcp://[::1]:99"]`),
    "Z.ts": silent,
    "10.ts": silent,
    "9.ts": silent,
    "\u{ff5e}.ts": silent,
    "\u{1f600}.ts": silent,
  })
  const everywhere = ["10.ts", "9.ts", "Z.ts"]
  const last = ["\u{ff5e}.ts", "\u{1f600}.ts"]
  expect(asked(await folder.loader().load())).toEqual({
    "*:5432": [...everywhere, "a.ts", "b.ts", ...last],
    "unix:/run/x.sock": [...everywhere, "a.ts", ...last],
    "[::1]:99": [...everywhere, "a.ts", ...last],
  })
})

test("names are ordered by code point, as the bytes of UTF-8 are", () => {
  const names = ["a", "b", "ab", "A", "", "é", "\u{ffff}", "\u{10000}", "a\u{10000}", "a\u{e000}", "10", "9", "_"]
  expect(names.toSorted(byName)).toEqual(names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))))
})

test("port 0 is private to its file", async () => {
  await using folder = new PolicyFolder({
    "a.ts": listening(`"tcp://127.0.0.1:0"`),
    "b.ts": listening(`"tcp://127.0.0.1:0"`),
    "c.ts": silent,
  })
  const loaded = await folder.loader().load()
  expect(asked(loaded)).toEqual({ "127.0.0.1:0#a.ts": ["a.ts", "c.ts"], "127.0.0.1:0#b.ts": ["b.ts", "c.ts"] })
  expect([...loaded.snapshot.listeners.values()].map(({ files }) => files)).toEqual([["a.ts"], ["b.ts"]])
})

test("an option that one file sets holds for the listener, and equal values are no conflict", async () => {
  await using folder = new PolicyFolder({
    "a.ts": listening(`"tcp://:5432"`),
    "b.ts": listening(`{ url: "tcp://:5432", maxConnections: 5 }`),
    "c.ts": listening(`{ url: "tcp://:5432", maxConnections: 5 }`),
  })
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([])
  expect([...loaded.snapshot.listeners.values()].map(({ maxConnections }) => maxConnections)).toEqual([5])
})

function limited(max: number, extra = ""): string {
  return listening(`{ url: "tcp://:5432", maxConnections: ${max} }`, extra)
}

test("of two files with different values for one option, the one that was saved later is bad, and both are named", async () => {
  await using folder = new PolicyFolder({ "a.ts": limited(1), "b.ts": limited(2), "c.ts": limited(2) })
  utimesSync(folder.at("a.ts"), 3000, 3000)
  utimesSync(folder.at("b.ts"), 1000, 1000)
  utimesSync(folder.at("c.ts"), 2000, 2000)
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([
    "a.ts:2:14 tcp://:5432: maxConnections is 1 in a.ts and 2 in b.ts; a listener has one value",
  ])
  expect(states(loaded)).toEqual({ "a.ts": "bad", "b.ts": "good", "c.ts": "good" })
  expect(asked(loaded)).toEqual({ "*:5432": ["b.ts", "c.ts"] })
})

test("of two files that were saved at the same time, the later one by name is bad", async () => {
  await using folder = new PolicyFolder({ "a.ts": limited(1), "b.ts": limited(2) })
  for (const file of ["a.ts", "b.ts"]) utimesSync(folder.at(file), 1000, 1000)
  expect(states(await folder.loader().load())).toEqual({ "a.ts": "good", "b.ts": "bad" })
})

test("a file that comes into conflict keeps its last good version, and is taken when the conflict is over", async () => {
  await using folder = new PolicyFolder({ "a.ts": limited(1), "b.ts": policy("1", { port: 5432 }) })
  for (const file of ["a.ts", "b.ts"]) utimesSync(folder.at(file), 1000, 1000)
  const loader = folder.loader()
  const first = await loader.reload()
  folder.write("b.ts", limited(2, "export const mine = { count: 0 }"))
  const conflict = await loader.reload()
  expect(states(conflict)).toEqual({ "a.ts": "good", "b.ts": "kept" })
  expect(version(conflict, "b.ts")).toBe(version(first, "b.ts"))
  expect(answer(conflict, "b.ts")).toBe(1)
  folder.write("a.ts", limited(2))
  const over = await loader.reload()
  expect(states(over)).toEqual({ "a.ts": "good", "b.ts": "good" })
  expect(version(over, "b.ts")).not.toBe(version(first, "b.ts"))
})

test("a kept version is as old as its text: a newer file in conflict with it has to give way", async () => {
  await using folder = new PolicyFolder({ "a.ts": limited(1) })
  utimesSync(folder.at("a.ts"), 1000, 1000)
  const loader = folder.loader()
  await loader.reload()
  folder.write("a.ts", "broken(")
  utimesSync(folder.at("a.ts"), 3000, 3000)
  folder.write("b.ts", limited(2))
  utimesSync(folder.at("b.ts"), 2000, 2000)
  expect(states(await loader.reload())).toEqual({ "a.ts": "kept", "b.ts": "bad" })
  folder.remove("a.ts")
  expect(states(await loader.reload())).toEqual({ "b.ts": "good" })
})

test("a file that loses its listener to an older one comes back with its state when that is gone", async () => {
  const stateful = `export const listen = { url: "tcp://:5432", maxConnections: 1 }\nlet n = 0\nexport function on_tcp_connect() { return ++n }`
  await using folder = new PolicyFolder({ "a.ts": stateful })
  const loader = folder.loader()
  expect(answer(await loader.reload(), "a.ts")).toBe(1)
  folder.write("b.ts", limited(2))
  utimesSync(folder.at("b.ts"), 1000, 1000)
  expect(states(await loader.reload())).toEqual({ "a.ts": "bad", "b.ts": "good" })
  folder.remove("b.ts")
  const back = await loader.reload()
  expect(states(back)).toEqual({ "a.ts": "good" })
  expect(answer(back, "a.ts")).toBe(2)
})
