// tidegate.yaml beside the policies: what comes of it, what is said of a bad one and where, and how it is followed.
import { describe, expect, test } from "bun:test"
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { renderDiagnostic } from "../../src/config/diagnostic.ts"
import type { Loaded } from "../../src/config/loader.ts"
import { compileConfig, configuredDatabases } from "../../src/config/config-source.ts"
import { ModuleGraph } from "../../src/config/module-graph.ts"
import { random } from "../helper/random.ts"
import { route } from "../../src/policy/decision.ts"
import { plan, PolicyFolder, problems, states, until, type TestLoader } from "./policy-folder.ts"
import { watch } from "../../src/config/watch.ts"

/** A folder of policies with a configuration file beside it. */
class Configured extends PolicyFolder {
  readonly config: string
  readonly loading: TestLoader

  constructor(text: string, files: Readonly<Record<string, string>> = {}, name = "tidegate.yaml") {
    super(files)
    this.config = join(this.root, name)
    this.save(text)
    this.loading = this.loader({ config: this.config })
  }

  save(text: string): void {
    writeFileSync(this.config, text)
  }

  /** As {@link problems}, without the folder of the file. */
  said(loaded: Loaded): string[] {
    return problems(loaded, this).map((line) => line.replace(`${this.root}/`, ""))
  }
}

async function said(text: string, name?: string): Promise<string[]> {
  await using folder = new Configured(text, {}, name)
  return folder.said(await folder.loading.load())
}

/** Who is asked at each listener, and what each answers that is no function of a policy. */
function asked(loaded: Loaded): Record<string, readonly string[]> {
  const { listeners } = loaded.snapshot
  return Object.fromEntries([...listeners.values()].map(({ policies, url }) => [url, policies.map(({ file }) => file)]))
}

/** What the file answers on a listener, for a server name where there are names. */
function answerOf(loaded: Loaded, identity: string, name?: string): unknown {
  const { names, policies } = plan(loaded, identity)
  const asking = names === undefined ? policies : names.find(name)
  const last = asking?.findLast((policy) => policy.last)
  return last === undefined ? undefined : Reflect.apply(last.connect, undefined, [])
}

const silent = "export function on_tcp_connect() {}"
const db = "pools: { db: { targets: [tcp://a:1] } }\n"

function listening(options: string): string {
  return `export const listen = { url: "tcp://:5432", ${options} }\n${silent}`
}

function serving(target: string): string {
  return `listeners: [{ url: "tcp://:1", route: "tcp://${target}:1" }]\n`
}

function entries(...list: string[]): Promise<string[]> {
  return said(`listeners:\n${list.map((entry) => `  - ${entry}\n`).join("")}`)
}

describe("what comes of it", () => {
  test("pools and listeners, whose routes are answered like those of policies", async () => {
    await using folder = new Configured(`
pools:
  db:
    targets:
      - tcp://a:1
      - { url: tcp://b:1, weight: 2 }
    health: postgres
listeners:
  - url: tcp://:5432
    route: db
    maxConnections: 7
    rateLimit: { limit: 20, per: 1 minute }
  - url: tcp://127.0.0.1:6379
    route: [tcp://r1:6379, { url: tcp://r2:6379, weight: 3 }]
  - { url: "unix:/run/x.sock", route: "unix:/run/y.sock" }
  - url: tcp://localhost:7000-7001
    route: { to: db, idleTimeout: 1 hour, retries: 0 }
`)
    const loaded = await folder.loading.load()
    expect(folder.said(loaded)).toEqual([])
    expect(states(loaded)).toEqual({ "tidegate.yaml": "good" })
    expect([...loaded.snapshot.pools.keys()]).toEqual(["db"])
    expect(loaded.snapshot.pools.get("db")).toMatchObject({
      balance: "round-robin",
      health: { check: { postgres: {} } },
    })
    expect(loaded.snapshot.poolFiles).toEqual(new Map([["db", ["tidegate.yaml"]]]))
    expect(answerOf(loaded, "tcp:*:5432")).toEqual(route("db"))
    expect(answerOf(loaded, "tcp:127.0.0.1:6379")).toEqual(
      route(["tcp://r1:6379", { url: "tcp://r2:6379", weight: 3 }]),
    )
    expect(answerOf(loaded, "unix:/run/x.sock")).toEqual(route("unix:/run/y.sock"))
    for (const identity of ["tcp:127.0.0.1:7000", "tcp:[::1]:7001"])
      expect(answerOf(loaded, identity)).toEqual(route("db", { idleTimeout: "1 hour", retries: 0 }))
    const { files, maxConnections, rateLimit } = plan(loaded, "tcp:*:5432")
    expect({ files, maxConnections, rateLimit }).toEqual({
      files: ["tidegate.yaml"],
      maxConnections: 7,
      rateLimit: { limit: 20, per: 60_000, burst: 20, key: { ipv4: 32, ipv6: 64 } },
    })
  })

  test("JSON says the same", async () => {
    const text = JSON.stringify({
      $schema: "./tidegate.schema.json",
      pools: { db: { targets: ["tcp://a:1"] } },
      listeners: [{ url: "tcp://:5432", route: "db" }],
    })
    await using folder = new Configured(text, {}, "tidegate.json")
    const loaded = await folder.loading.load()
    expect(states(loaded)).toEqual({ "tidegate.json": "good" })
    expect(answerOf(loaded, "tcp:*:5432")).toEqual(route("db"))
  })

  test("its routes are asked last: after the files that name the listener, and after those without listen", async () => {
    await using folder = new Configured(
      `${db}listeners: [{ url: "tcp://:5432", route: db }, { url: "tls://:443", route: db }]`,
      {
        "a.ts": silent,
        "z.ts": `export const listen = ["tcp://:5432", "tls://a.example:443", "tls://:443"]\n${silent}`,
      },
    )
    const loaded = await folder.loading.load()
    expect(folder.said(loaded)).toEqual([])
    expect(asked(loaded)).toEqual({
      "tcp://:5432": ["a.ts", "z.ts", "tidegate.yaml"],
      "tls://:443": ["z.ts", "a.ts", "tidegate.yaml"],
    })
    const { names } = plan(loaded, "tcp:*:443")
    expect(names?.find("a.example")?.map(({ file }) => file)).toEqual(["z.ts", "a.ts"])
    expect(names?.find("b.example")?.map(({ file }) => file)).toEqual(["z.ts", "a.ts", "tidegate.yaml"])
  })

  test("on tls:// each name has its own route", async () => {
    await using folder = new Configured(`
listeners:
  - { url: "tls://a.example:443", route: tcp://a:443 }
  - { url: "tls://*.example:443", route: tcp://other:443 }
  - { url: "tls://b.example:443" }
`)
    const loaded = await folder.loading.load()
    expect(folder.said(loaded)).toEqual([])
    expect(answerOf(loaded, "tcp:*:443", "a.example")).toEqual(route("tcp://a:443"))
    expect(answerOf(loaded, "tcp:*:443", "x.example")).toEqual(route("tcp://other:443"))
    expect(answerOf(loaded, "tcp:*:443", "b.example")).toEqual({ action: "next" })
    expect(answerOf(loaded, "tcp:*:443", "elsewhere")).toBeUndefined()
    expect(plan(loaded, "tcp:*:443").files).toEqual(["tidegate.yaml"])
  })

  test("without a route an entry opens its listener and sets its options, and the policies decide", async () => {
    await using folder = new Configured(`listeners: [{ url: "tcp://:5432", maxConnections: 3 }]`, {
      "a.ts": silent,
      "b.ts": `export const listen = "tcp://:5432"\n${silent}`,
    })
    const loaded = await folder.loading.load()
    expect(asked(loaded)).toEqual({ "tcp://:5432": ["a.ts", "b.ts", "tidegate.yaml"] })
    expect(answerOf(loaded, "tcp:*:5432")).toEqual({ action: "next" })
    expect(plan(loaded, "tcp:*:5432").maxConnections).toBe(3)
  })

  test("a pool may be in a policy and its route here, and the other way round", async () => {
    await using folder = new Configured(`${db}listeners: [{ url: "tcp://:1", route: web }]`, {
      "a.ts": `export const pools = { web: { targets: ["tcp://w:1"] } }\nexport const listen = "tcp://:2"\n${silent}`,
    })
    const loaded = await folder.loading.load()
    expect(folder.said(loaded)).toEqual([])
    expect([...loaded.snapshot.pools.keys()]).toEqual(["web", "db"])
  })

  test("the databases that it names are found from its own folder", async () => {
    await using folder = new Configured(
      `${db}listeners: [{ url: "tcp://:1", route: db }]\ngeoip: [geo/a.mmdb, /var/b.mmdb]`,
    )
    const { snapshot } = await folder.loading.load()
    expect(snapshot.geoip).toEqual([join(folder.root, "geo/a.mmdb"), "/var/b.mmdb"])
    expect(await configuredDatabases(folder.config)).toEqual(snapshot.geoip)
    folder.save("geoip: one.mmdb")
    expect(await configuredDatabases(folder.config)).toEqual([join(folder.root, "one.mmdb")])
    folder.save("geoip: [")
    expect(await configuredDatabases(folder.config)).toEqual([])
    expect(await configuredDatabases(join(folder.root, "none.yaml"))).toEqual([])
    expect(await configuredDatabases(undefined)).toEqual([])
  })

  test("a policies folder may be empty or missing, but not go missing", async () => {
    await using folder = new Configured(`${db}listeners: [{ url: "tcp://:1", route: db }]`)
    expect(folder.said(await folder.loading.reload())).toEqual([])
    rmSync(folder.path, { recursive: true })
    expect(folder.said(await folder.loading.reload())).toEqual([". there is no such folder"])
    const other = folder.loader({ config: folder.config })
    expect(folder.said(await other.reload())).toEqual([])
    mkdirSync(folder.path)
    folder.write("a.ts", silent)
    expect(states(await other.reload())).toEqual({ "a.ts": "good", "tidegate.yaml": "good" })
    rmSync(folder.path, { recursive: true })
    const gone = await other.reload()
    expect(folder.said(gone)).toEqual([". there is no such folder"])
    expect(states(gone)).toEqual({ "a.ts": "good", "tidegate.yaml": "good" })
  })
})

describe("what is said of a bad one", () => {
  test.each([
    ["", ["tidegate.yaml the file is empty"]],
    ["# nothing yet\n", ["tidegate.yaml the file is empty"]],
    ["{}", ["tidegate.yaml neither this file nor a policy has a listener: there is nothing to serve"]],
    [db, ["tidegate.yaml neither this file nor a policy has a listener: there is nothing to serve"]],
    ["- a\n", ["tidegate.yaml:1:1 expected an object like { pools: ..., listeners: ... }, found a list"]],
    [
      "pools:\n",
      ["tidegate.yaml:1:1 pools: expected pools by their names, like { db: { targets: [...] } }, found null"],
    ],
    ["pool: {}\n", ['tidegate.yaml:1:1 there is no option "pool"; did you mean "pools"?']],
    ["a: 1\n---\nb: 2\n", ["tidegate.yaml:3:1 a second document begins here; the file is one"]],
    ["pools: {\n", ["tidegate.yaml:2:1 Flow map in block collection must be sufficiently indented and end with a }"]],
    ["pools:\n\tdb:\n", ["tidegate.yaml:2:1 Tabs are not allowed as indentation"]],
    [`${db}${db}`, ['tidegate.yaml:2:1 "pools" stands here twice, first in line 1']],
    ["geoip: 5\n", ["tidegate.yaml:1:8 geoip: expected a path, or a list of 1 to 10 paths, found 5"]],
  ])("%j", async (text, expected) => {
    expect(await said(text)).toEqual(expected)
  })

  test("everything that is wrong, in the order of the text, each at its own place", async () => {
    expect(
      await said(`
pools:
  db:
    targets:
      - a:1
      - { url: "tcp://b:1", wieght: 2 }
    balance: hsah
    health:
      check: { http: { pth: / } }
      interval: 10ms
    queue: {}
  Web: { targets: ["tcp://a:1"] }
listeners:
  - url: 5432
  - url: tcp:5432
    route: db
    conections: 5
  - route: db
`),
    ).toEqual([
      'tidegate.yaml:5:9 pools.db.targets[0]: target "a:1": expected tcp://host:port, tls://host:port, unix:/path, dns://name:port or srv://_service._proto.name; did you mean "tcp://a:1"?',
      'tidegate.yaml:6:29 pools.db.targets[1]: there is no option "wieght"; did you mean "weight"?',
      'tidegate.yaml:7:14 pools.db.balance: expected "round-robin", "least-connections", "random-two", "hash", "first" or "latency", found "hsah"; did you mean "hash"?',
      'tidegate.yaml:9:24 pools.db.health.check.http: there is no option "pth"; did you mean "path"?',
      'tidegate.yaml:10:17 pools.db.health.interval: expected a duration like "5 seconds", from 100 ms to 30 days, found "10ms"',
      'tidegate.yaml:12:3 pools: "Web": a pool\'s name is 1 to 63 lower-case letters, digits and dashes, a letter first',
      "tidegate.yaml:14:10 listeners[0].url: expected a URL of 1 to 512 characters, found 5432",
      'tidegate.yaml:17:5 listeners[1]: there is no option "conections"; known are url, address, maxConnections, proxyProtocol, rateLimit, concurrencyLimit, bandwidth, route',
      "tidegate.yaml:18:5 listeners[2]: url is missing: expected a URL of 1 to 512 characters",
    ])
  })

  test.each([
    [
      "{ url: '5432' }",
      'listeners[0].url: "5432": expected tcp://address:port, tls://name:port, postgres://name:port or unix:/path',
    ],
    [
      "{ url: 'tcp://:1', maxConnections: 0 }",
      "listeners[0].maxConnections: expected a whole number from 1 to 1,000,000, found 0",
    ],
    [
      "{ url: 'tcp://1.2.3.4:1', address: 1.2.3.4 }",
      'listeners[0].url: "tcp://1.2.3.4:1": address "1.2.3.4": the URL names an address already',
    ],
    [
      "{ url: 'tcp://:1', address: x y }",
      'listeners[0].url: "tcp://:1": "x y" is not an address: IPv4 is four decimal numbers without leading zeros, IPv6 stands in brackets',
    ],
    [
      "{ url: 'tcp://:1', proxyProtocol: { from: [10.0.0.0/33] } }",
      'listeners[0].proxyProtocol: from: "10.0.0.0/33" is not a CIDR: the prefix length of an IPv4 address is 0 to 32',
    ],
    [
      "{ url: 'tcp://:1', proxyProtocol: { from: [], mode: maybe } }",
      'listeners[0].proxyProtocol.from: expected a list of 1 to 10,000 address ranges, like ["10.0.0.0/8"], found an empty list|listeners[0].proxyProtocol.mode: expected "required" or "optional", found "maybe"',
    ],
    [
      "{ url: 'tcp://:1', rateLimit: { limit: 1, per: 1s, key: sni } }",
      'listeners[0].rateLimit: key: "sni" needs a tls:// or postgres:// listener, which reads the name',
    ],
    [
      "{ url: 'tcp://:1', route: 5 }",
      'listeners[0].route: expected a pool\'s name like "db", a target like "tcp://host:port", a list of targets, or an object like { to: ... }, found 5',
    ],
    [
      "{ url: 'tcp://:1', route: a:1 }",
      'listeners[0].route: target "a:1": expected tcp://host:port, tls://host:port or unix:/path; did you mean "tcp://a:1"?',
    ],
    [
      "{ url: 'tcp://:1', route: { too: db } }",
      'listeners[0].route: to is missing: expected a pool\'s name like "db", a target like "tcp://host:port", or a list of targets|listeners[0].route: there is no option "too"; did you mean "to"?',
    ],
    [
      "{ url: 'tcp://:1', route: { to: db, retries: -1 } }",
      "listeners[0].route.retries: expected a whole number from 0 to 1,000, found -1",
    ],
    [
      "{ url: 'tcp://:1', route: { to: 'tcp://a:1', tls: { sni: a.b } } }",
      "listeners[0].route: tls has no effect: none of the targets is tls://host:port",
    ],
    [
      "{ url: 'tls://:1', route: 'tls://a:1' }",
      "listeners[0].route: TLS passes through here: write tcp:// instead of tls://",
    ],
    ["{ url: 'tcp://:1', route: nothing }", 'there is no pool "nothing"; did you mean "tcp://nothing:PORT"?'],
    ["{ url: 'tls://:1', route: secret }", "use tcp:// to pass TLS through, or `await connection.terminate()` first"],
  ])("listener %s", async (entry, expected) => {
    const pools = "pools: { secret: { targets: [tls://a:1] } }\n"
    const found = await said(`${pools}listeners: [${entry}]\n`)
    expect(found.map((line) => line.replace(/^tidegate\.yaml:2:\d+ /, ""))).toEqual(expected.split("|"))
  })

  test("two entries of one listener and name, and two schemes or values on one listener", async () => {
    expect(await entries("url: tcp://:1", "url: tcp://:2", "url: tcp://:1", "url: unix:/x", "url: unix:///x")).toEqual([
      "tidegate.yaml:4:10 listeners[2].url: tcp://:1 is listeners[0] already",
      "tidegate.yaml:6:10 listeners[4].url: unix:/x is listeners[3] already",
    ])
    expect(await entries("url: tls://a.b:1", "url: tls://A.b.:1")).toEqual([
      "tidegate.yaml:3:10 listeners[1].url: tls://a.b:1 is listeners[0] already",
    ])
    expect(await entries("url: tcp://:1", "url: tls://:1")).toEqual([
      "tidegate.yaml:3:10 tls://:1 in tidegate.yaml and tcp://:1 in tidegate.yaml are one address and port; a listener has one scheme",
    ])
    expect(await entries("{ url: tls://a.b:1, maxConnections: 1 }", "{ url: tls://b.b:1, maxConnections: 2 }")).toEqual(
      [
        "tidegate.yaml:3:12 tls://b.b:1: maxConnections is 2 in tidegate.yaml and 1 further up; a listener has one value",
      ],
    )
  })

  test("20 problems are shown, and how many more there are", async () => {
    const found = await said(`listeners: [${"5, ".repeat(30)}]`)
    expect(found).toHaveLength(21)
    expect(found.at(-1)).toBe("tidegate.yaml and 10 more problems in this file")
  })

  test("a problem is shown with its lines and a caret", async () => {
    await using folder = new Configured(`${db}listeners:\n  - url: tcp://:5432\n    route: bd\n`)
    const { problems: found } = await folder.loading.load()
    expect(found.map((problem) => renderDiagnostic(problem).replace(`${folder.root}/`, ""))).toEqual([
      [
        'tidegate.yaml:4:12 there is no pool "bd"; did you mean "db"?',
        "  2 | listeners:",
        "  3 |   - url: tcp://:5432",
        "> 4 |     route: bd",
        "                 ^",
      ].join("\n"),
    ])
  })

  test("a file that is missing, of another kind, or too large", async () => {
    await using folder = new Configured("")
    unlinkSync(folder.config)
    expect(folder.said(await folder.loading.load())).toEqual(["tidegate.yaml cannot be read: there is no such file"])
    expect(await said("x", "tidegate.toml")).toEqual([
      "tidegate.toml a configuration file is a .yaml, .yml or .json file",
    ])
    expect(await said(`# ${"a".repeat(1024 * 1024)}`)).toEqual(["tidegate.yaml 1048578 bytes; at most 1048576"])
  })

  test("what others may write to is not read, nor what lies in their folder, nor behind a link into it", async () => {
    await using folder = new Configured(`listeners: [{ url: "tcp://:1" }]`)
    chmodSync(folder.config, 0o666)
    expect(folder.said(await folder.loading.reload())).toEqual([
      "tidegate.yaml not loaded, because everyone may write to it (mode 0666)",
    ])
    chmodSync(folder.config, 0o600)
    expect(folder.said(await folder.loading.reload())).toEqual([])
    const shared = join(folder.root, "shared")
    mkdirSync(shared)
    chmodSync(shared, 0o1777)
    renameSync(folder.config, join(shared, "real.yaml"))
    symlinkSync("shared/real.yaml", folder.config)
    const loaded = await folder.loading.reload()
    expect(folder.said(loaded)).toEqual(["shared not loaded, because everyone may write to it (mode 1777)"])
    expect(loaded.problems[0]!.hint).toBe("give the file a folder of its own")
    expect(states(loaded)).toEqual({ "tidegate.yaml": "kept" })
    chmodSync(shared, 0o755)
    expect(states(await folder.loading.reload())).toEqual({ "tidegate.yaml": "good" })
  })
})

test("a file with any slip in it is compiled, or has problems with places; nothing is thrown", async () => {
  const good = `pools:\n  db:\n    targets: [tcp://a:1, { url: "tcp://b:1", weight: 2 }]\n    health: { check: { http: { path: / } }, interval: 1s }\nlisteners:\n  - url: tls://a.example:443\n    route: { to: db, idleTimeout: 1 hour }\n  - { url: unix:/x, route: [tcp://a:1] }\n`
  await using folder = new Configured(good)
  const { module } = new ModuleGraph(folder.root, true).entry(folder.config, "text")
  const { below, pick, text } = random(11)
  const pieces = [..."[]{},:-&*!|>'\"#\n 0", "db", "tcp://", "url: ", "route: ", "null", "true", "1e9", "pools"]
  let taken = 0
  for (let i = 0; i < 3000; i++) {
    const at = below(good.length)
    const slip = below(3) === 0 ? "" : pick([text(pieces, 3), pick(pieces)])
    const written = good.slice(0, at) + slip + good.slice(at + below(4))
    const compiled = await compileConfig({ ...module, text: written })
    if ("rules" in compiled) taken++
    else {
      expect(compiled.length).toBeGreaterThan(0)
      for (const { line = 1 } of compiled) expect(line).toBeLessThanOrEqual(written.split("\n").length + 1)
    }
  }
  expect(taken).toBeGreaterThan(100)
})

describe("conflicts with policies", () => {
  test("one option of a listener with two values: the later-saved file is bad, whichever it is", async () => {
    await using folder = new Configured(`listeners:\n  - url: tcp://:5432\n    maxConnections: 2\n`, {
      "a.ts": listening("maxConnections: 1"),
    })
    utimesSync(folder.at("a.ts"), 1000, 1000)
    utimesSync(folder.config, 2000, 2000)
    const loaded = await folder.loading.load()
    expect(folder.said(loaded)).toEqual([
      "tidegate.yaml:2:10 tcp://:5432: maxConnections is 2 in tidegate.yaml and 1 in a.ts; a listener has one value",
    ])
    expect(states(loaded)).toEqual({ "a.ts": "good", "tidegate.yaml": "bad" })
    utimesSync(folder.config, 500, 500)
    const other = await folder.loader({ config: folder.config }).load()
    expect(folder.said(other)).toEqual([
      "a.ts:1:14 tcp://:5432: maxConnections is 1 in a.ts and 2 in tidegate.yaml; a listener has one value",
    ])
    expect(states(other)).toEqual({ "a.ts": "bad", "tidegate.yaml": "good" })
  })

  test("one pool with two sets of options", async () => {
    await using folder = new Configured(`listeners: [{ url: "tcp://:1" }]\npools:\n  db: { targets: [tcp://a:1] }\n`, {
      "a.ts": `export const pools = { db: { targets: ["tcp://b:1"] } }\n${silent}`,
    })
    utimesSync(folder.at("a.ts"), 1000, 1000)
    const loaded = await folder.loading.load()
    expect(folder.said(loaded)).toEqual([
      "tidegate.yaml:3:3 pool db: targets in tidegate.yaml is not that in a.ts; a pool has one value of each option",
    ])
  })

  test("a route to a pool that went away is a problem of the file, which serves on", async () => {
    const pools = `export const pools = { db: { targets: ["tcp://b:1"] } }\n${silent}`
    await using folder = new Configured(`listeners: [{ url: "tcp://:1", route: db }]`, { "a.ts": pools })
    expect(folder.said(await folder.loading.reload())).toEqual([])
    folder.write("a.ts", silent)
    const loaded = await folder.loading.reload()
    expect(folder.said(loaded)).toEqual(['tidegate.yaml:1:39 there is no pool "db"; did you mean "tcp://db:PORT"?'])
    expect(states(loaded)).toEqual({ "a.ts": "good", "tidegate.yaml": "kept" })
    expect(answerOf(loaded, "tcp:*:1")).toEqual(route("db"))
    folder.write("a.ts", pools)
    expect(states(await folder.loading.reload())).toEqual({ "a.ts": "good", "tidegate.yaml": "good" })
  })

  test("a policy that would win a conflict takes the pools of the loser's route with it", async () => {
    await using folder = new Configured(
      `pools: { db: { targets: [tcp://a:1] }, web: { targets: [tcp://w:1] } }\nlisteners: [{ url: "tcp://:1", route: web }]`,
      {
        "a.ts": `export const pools = { db: { targets: ["tcp://b:1"] } }\n${silent}`,
      },
    )
    utimesSync(folder.at("a.ts"), 1000, 1000)
    const loaded = await folder.loading.load()
    expect(states(loaded)).toEqual({ "a.ts": "good", "tidegate.yaml": "bad" })
    expect([...loaded.snapshot.pools.keys()]).toEqual(["db"])
  })
})

describe("reload", () => {
  test("a bad one keeps its last good version, and is shown so; a good one takes its place", async () => {
    await using folder = new Configured(serving("a"), { "a.ts": silent })
    const first = await folder.loading.reload()
    folder.save("listeners: [{ url: 5 }]")
    const kept = await folder.loading.reload()
    expect(folder.said(kept)).toEqual([
      "tidegate.yaml:1:20 listeners[0].url: expected a URL of 1 to 512 characters, found 5",
    ])
    expect(kept.snapshot.files.map(({ file, state, version }) => [file, state, version])).toEqual([
      ["a.ts", "good", first.snapshot.files[0]!.version],
      ["tidegate.yaml", "kept", first.snapshot.files[1]!.version],
    ])
    expect(plan(kept, "tcp:*:1")).toBe(plan(first, "tcp:*:1"))
    expect(kept.snapshot.id).not.toBe(first.snapshot.id)
    folder.save(serving("b"))
    const next = await folder.loading.reload()
    expect(states(next)).toEqual({ "a.ts": "good", "tidegate.yaml": "good" })
    expect(answerOf(next, "tcp:*:1")).toEqual(route("tcp://b:1"))
    folder.save(serving("a"))
    expect((await folder.loading.reload()).snapshot.id).toBe(first.snapshot.id)
  })

  test("a file that is deleted, emptied or half written keeps serving", async () => {
    await using folder = new Configured(serving("a"))
    await folder.loading.reload()
    for (const text of ["", "listeners: [{ url: ", 'listeners:\n  - url: "tcp://:1']) {
      folder.save(text)
      const loaded = await folder.loading.reload()
      expect(states(loaded)).toEqual({ "tidegate.yaml": "kept" })
      expect(answerOf(loaded, "tcp:*:1")).toEqual(route("tcp://a:1"))
    }
    unlinkSync(folder.config)
    const gone = await folder.loading.reload()
    expect(folder.said(gone)).toEqual(["tidegate.yaml cannot be read: there is no such file"])
    expect(states(gone)).toEqual({ "tidegate.yaml": "kept" })
    folder.save(serving("b"))
    expect(states(await folder.loading.reload())).toEqual({ "tidegate.yaml": "good" })
  })

  test("bytes that did not change are no change, and a file that was only touched is not compiled again", async () => {
    await using folder = new Configured(serving("a"))
    const first = await folder.loading.reload()
    utimesSync(folder.config, 5000, 5000)
    const again = await folder.loading.reload()
    expect(again.changed).toBe(false)
    expect(again.snapshot).toBe(first.snapshot)
  })

  test("saves, renames and swaps of links are noticed by events", async () => {
    await using folder = new Configured(serving("a"))
    let loaded = await folder.loading.reload()
    let running = Promise.resolve()
    const watching = watch(
      () => folder.loading.folders(),
      () => {
        running = running.then(async () => {
          loaded = await folder.loading.reload()
          watching.refresh()
        })
      },
    )
    const serves = (target: string) =>
      until(() => JSON.stringify(answerOf(loaded, "tcp:*:1")) === JSON.stringify(route(`tcp://${target}:1`)))
    folder.save(serving("b"))
    await serves("b")
    writeFileSync(`${folder.config}~`, serving("c"))
    renameSync(`${folder.config}~`, folder.config)
    await serves("c")
    // As Kubernetes does with a ConfigMap.
    const version = (name: string, text: string) => {
      mkdirSync(join(folder.root, name))
      writeFileSync(join(folder.root, name, "tidegate.yaml"), text)
    }
    version("..1", serving("d"))
    symlinkSync("..1", join(folder.root, "..data"))
    symlinkSync("..data/tidegate.yaml", join(folder.root, "link"))
    renameSync(join(folder.root, "link"), folder.config)
    await serves("d")
    version("..2", serving("e"))
    symlinkSync("..2", join(folder.root, "..new"))
    renameSync(join(folder.root, "..new"), join(folder.root, "..data"))
    await serves("e")
    watching.close()
    await running
  })

  test("an unchanged pool is the same object, however the file is written now", async () => {
    await using folder = new Configured(`${db}${serving("a")}`)
    const { snapshot: first } = await folder.loading.reload()
    folder.save(`${serving("b")}pools:\n  db:\n    targets: [{ url: TCP://A:1 }]\n`)
    const { snapshot: second } = await folder.loading.reload()
    expect(second).not.toBe(first)
    expect(second.pools).toBe(first.pools)
  })
})
