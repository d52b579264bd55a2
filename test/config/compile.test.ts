// Which policies are asked at which listener, in which order, and which files contradict each other.
import { expect, test } from "bun:test"
import { utimesSync } from "node:fs"
import { byName, compile } from "../../src/config/compile.ts"
import type { Loaded } from "../../src/config/loader.ts"
import { nameGroups, servedNames } from "../../src/config/served-names.ts"
import type { PolicyVersion } from "../../src/config/snapshot.ts"
import { parseListen } from "../../src/policy/listen.ts"
import { answer, plan, policy, PolicyFolder, problems, states, version } from "./policy-folder.ts"

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

test("an option that is an object is compared by what it says", async () => {
  const believing = (option: string) => listening(`{ url: "tcp://:5432", proxyProtocol: ${option} }`)
  await using folder = new PolicyFolder({
    "a.ts": believing(`{ from: ["10.0.0.0/8", "::1"] }`),
    "b.ts": believing(`{ mode: "required", from: ["::1", "10.0.0.0/8"] }`),
    "c.ts": believing(`{ from: ["10.0.0.0/8"], mode: "optional" }`),
    "d.ts": listening(`"tcp://:5432"`),
  })
  for (const file of ["a.ts", "b.ts", "c.ts", "d.ts"]) utimesSync(folder.at(file), 1000, 1000)
  const loader = folder.loader()
  const loaded = await loader.reload()
  expect(problems(loaded, folder)).toEqual([
    'c.ts:2:14 tcp://:5432: proxyProtocol is {"from":["10.0.0.0/8"],"mode":"optional"} in c.ts and {"from":["10.0.0.0/8","::1"],"mode":"required"} in a.ts; a listener has one value',
  ])
  expect(plan(loaded, "tcp:*:5432").proxyProtocol).toEqual({ from: ["10.0.0.0/8", "::1"], mode: "required" })
  folder.remove("c.ts")
  folder.write("a.ts", believing(`{ from: ["::1", "10.0.0.0/8"], mode: "required" }`))
  const same = await loader.reload()
  expect(plan(same, "tcp:*:5432").proxyProtocol).toEqual(plan(loaded, "tcp:*:5432").proxyProtocol)
  for (const file of ["a.ts", "b.ts"]) folder.write(file, believing(`{ from: ["::1"] }`))
  const changed = plan(await loader.reload(), "tcp:*:5432")
  expect(changed.proxyProtocol).toEqual({ from: ["::1"], mode: "required" })
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

/** Who is asked about clients that ask for these names. */
function askedFor(loaded: Loaded, identity: string, ...names: (string | undefined)[]) {
  const { names: known } = plan(loaded, identity)
  return names.map((name) => known?.find(name)?.map(({ file }) => file))
}

test("on tls:// the files with the most specific pattern are asked, then the files without listen", async () => {
  await using folder = new PolicyFolder({
    "00-all.ts": silent,
    "any.ts": listening(`"tls://:443"`),
    "b-exact.ts": listening(`"tls://DB.example.com.:443"`),
    "a-exact.ts": listening(`["tls://db.example.com:443", "tls://*.example.com:443"]`),
    "wild.ts": listening(`"tls://*.example.com:443"`),
    "other.ts": listening(`["tls://*.db.example.com:443", "tls://:444"]`),
  })
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([])
  const names = ["db.example.com", "a.example.com", "a.db.example.com", "example.com", "a.b.example.com", undefined]
  expect(askedFor(loaded, "tcp:*:443", ...names)).toEqual([
    ["a-exact.ts", "b-exact.ts", "00-all.ts"],
    ["a-exact.ts", "wild.ts", "00-all.ts"],
    ["other.ts", "00-all.ts"],
    ["any.ts", "00-all.ts"],
    ["a-exact.ts", "wild.ts", "00-all.ts"],
    ["any.ts", "00-all.ts"],
  ])
  expect(askedFor(loaded, "tcp:*:444", "db.example.com")).toEqual([["other.ts", "00-all.ts"]])
  const { files, policies, scheme, url } = plan(loaded, "tcp:*:443")
  expect({ files, scheme, url }).toEqual({
    files: ["a-exact.ts", "any.ts", "b-exact.ts", "other.ts", "wild.ts"],
    scheme: "tls",
    url: "tls://:443",
  })
  expect(policies.map(({ file }) => file)).toEqual([...files, "00-all.ts"])
})

test("what no pattern matches is asked of nobody, also not of files without listen", async () => {
  await using folder = new PolicyFolder({ "a.ts": listening(`"postgres://shop.example.com:5432"`), "all.ts": silent })
  const loaded = await folder.loader().load()
  expect(askedFor(loaded, "tcp:*:5432", "shop.example.com", "x.example.com", undefined)).toEqual([
    ["a.ts", "all.ts"],
    undefined,
    undefined,
  ])
})

test("a pattern may have an address of its own, and both are listeners", async () => {
  await using folder = new PolicyFolder({
    "a.ts": listening(`{ url: "tls://a.example:443", address: "10.0.0.5" }`),
    "b.ts": listening(`["tls://b.example:443", "tls://10.0.0.5:443"]`),
  })
  const loaded = await folder.loader().load()
  expect([...loaded.snapshot.listeners.values()].map(({ url }) => url)).toEqual(["tls://10.0.0.5:443", "tls://:443"])
  expect(askedFor(loaded, "tcp:10.0.0.5:443", "a.example", "b.example")).toEqual([["a.ts"], ["b.ts"]])
  expect(askedFor(loaded, "tcp:*:443", "a.example", "b.example")).toEqual([undefined, ["b.ts"]])
})

test("raw listeners have no names: everybody is asked", async () => {
  await using folder = new PolicyFolder({ "a.ts": listening(`["tcp://:80", "unix:/run/x.sock"]`) })
  const loaded = await folder.loader().load()
  expect([...loaded.snapshot.listeners.values()].map(({ names, scheme }) => [names, scheme])).toEqual([
    [undefined, "tcp"],
    [undefined, "tcp"],
  ])
})

test.each([
  ["tcp://:443", "tls://a.example:443"],
  ["postgres://:443", "tls://a.example:443"],
  ["tls://10.0.0.5:443", "tcp://10.0.0.5:443"],
])("%s and %s on one address and port are a conflict, which names both files", async (older, newer) => {
  await using folder = new PolicyFolder({ "b.ts": listening(`"${older}"`), "a.ts": listening(`"${newer}"`) })
  utimesSync(folder.at("b.ts"), 1000, 1000)
  utimesSync(folder.at("a.ts"), 2000, 2000)
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([
    `a.ts:2:14 ${newer} in a.ts and ${older} in b.ts are one address and port; a listener has one scheme`,
  ])
  expect(states(loaded)).toEqual({ "a.ts": "bad", "b.ts": "good" })
})

test("maxConnections belongs to the listener, whichever of its names it was written with", async () => {
  await using folder = new PolicyFolder({
    "a.ts": listening(`{ url: "tls://a.example:443", maxConnections: 5 }`),
    "b.ts": listening(`{ url: "tls://b.example:443", maxConnections: 6 }`),
    "c.ts": listening(`"tls://c.example:443"`),
  })
  for (const file of ["a.ts", "b.ts", "c.ts"]) utimesSync(folder.at(file), 1000, 1000)
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([
    "b.ts:2:14 tls://b.example:443: maxConnections is 6 in b.ts and 5 in a.ts; a listener has one value",
  ])
  expect(plan(loaded, "tcp:*:443").maxConnections).toBe(5)
})

function naming(...names: string[]): string {
  return listening(JSON.stringify(names.map((name) => `tls://${name}:443`)))
}

test("a reload that leaves a name out, or adds one, is another plan", async () => {
  await using folder = new PolicyFolder({ "a.ts": naming("a.example", "b.example"), "b.ts": naming("b.example") })
  const loader = folder.loader()
  const first = plan(await loader.reload(), "tcp:*:443")
  expect(plan(await loader.reload(), "tcp:*:443")).toBe(first)
  folder.write("a.ts", naming("a.example"))
  const loaded = await loader.reload()
  expect(plan(loaded, "tcp:*:443")).not.toBe(first)
  expect(askedFor(loaded, "tcp:*:443", "a.example", "b.example")).toEqual([["a.ts"], ["b.ts"]])
  expect(first.names?.find("b.example")?.map(({ file }) => file)).toEqual(["a.ts", "b.ts"])
})

/** A policy without a file. */
function made(file: string, listen: string[] | undefined): PolicyVersion {
  return {
    file,
    title: undefined,
    path: `/${file}`,
    version: "000000000000",
    listen: listen === undefined ? undefined : parseListen(listen),
    last: false,
    deadline: undefined,
    pools: new Map(),
    connect: () => undefined,
    closed: undefined,
    hasSetup: false,
    resources: undefined,
    failures: { count: 0, logged: new Set() },
  }
}

function nameOf(i: number): string {
  return i % 10 === 0 ? `*.n${i}.example.com` : `n${i}.example.com`
}

test("100,000 names in three files compile, and each is found", () => {
  const urls = Array.from({ length: 100_000 }, (_, i) => `tls://${nameOf(i)}:443`)
  const policies = [
    made("a.ts", urls.slice(0, 60_000)),
    made("b.ts", urls.slice(50_000)),
    made("c.ts", ["tls://:443"]),
    made("all.ts", undefined),
  ]
  const compiled = compile(policies).get("tcp:*:443")!
  for (let i = 0; i < 100_000; i++) {
    const found = compiled.names?.find(nameOf(i).replace("*", "x"))?.map(({ file }) => file)
    expect(found).toEqual([...(i < 60_000 ? ["a.ts"] : []), ...(i < 50_000 ? [] : ["b.ts"]), "all.ts"])
  }
  expect(compiled.names?.find("other.example.com")?.map(({ file }) => file)).toEqual(["c.ts", "all.ts"])
  expect(nameGroups(compiled).map(({ files, patterns }) => [files.join(" "), patterns.length])).toEqual([
    ["a.ts", 50_000],
    ["a.ts b.ts", 10_000],
    ["b.ts", 40_000],
    ["c.ts", 1],
  ])
  expect(servedNames(compiled)).toEqual({
    count: 100_001,
    first: Array.from({ length: 20 }, (_, i) => nameOf(i)),
  })
})

test("the names of a listener are shown by the files that serve them, what matches everything last", () => {
  const everything = made("a.ts", ["tls://:443", "tls://b.example:443", "tls://a.example:443", "tls://x.example:444"])
  const plans = compile([everything, made("b.ts", ["tls://a.example:443"]), made("c.ts", ["tcp://:80"])])
  expect(nameGroups(plans.get("tcp:*:443")!)).toEqual([
    { files: ["a.ts", "b.ts"], patterns: ["a.example"] },
    { files: ["a.ts"], patterns: ["b.example", undefined] },
  ])
  expect(servedNames(plans.get("tcp:*:443")!)).toEqual({ count: 3, first: ["a.example", "b.example", "*"] })
  expect(nameGroups(plans.get("tcp:*:80")!)).toEqual([])
  expect(servedNames(plans.get("tcp:*:80")!)).toBeUndefined()
})

test("what is asked last comes after files without listen, and what denies the rest after that", () => {
  for (const url of ["tcp://:443", "tls://a.example.com:443"]) {
    const plans = compile([
      { ...made("a.yaml", [url]), last: "fallback" },
      { ...made("b.yaml", [url]), last: true },
      made("c.ts", undefined),
      made("d.ts", [url]),
    ])
    const { names, policies } = plans.get("tcp:*:443")!
    const asked = names === undefined ? policies : names.find("a.example.com")!
    const first = names === undefined ? ["c.ts", "d.ts"] : ["d.ts", "c.ts"]
    expect(asked.map(({ file }) => file)).toEqual([...first, "b.yaml", "a.yaml"])
  }
})
