// `export const pools`: the values that come of it, what is said of bad ones, and one name in two files.
import { expect, test } from "bun:test"
import { utimesSync } from "node:fs"
import { poolSpec } from "../../src/config/pool-spec.ts"
import { parseTarget } from "../../src/policy/target.ts"
import { PolicyFolder, problems, states, version } from "./policy-folder.ts"

const silent = `export const listen = "tcp://127.0.0.1:9000"\nexport function on_tcp_connect() {}`

function withPools(pools: string): string {
  return `${silent}\nexport const pools = ${pools}`
}

test("every default of a pool", () => {
  const target = parseTarget("tcp://a.example:5432")
  expect(poolSpec("db", { targets: ["tcp://A.example:5432"] })).toEqual({
    name: "db",
    targets: [
      {
        url: "tcp://a.example:5432",
        name: "tcp://a.example:5432",
        weight: 1,
        priority: 0,
        maxConnections: Number.POSITIVE_INFINITY,
        source: { kind: "target", target },
      },
    ],
    balance: "round-robin",
    hashOn: "client",
    health: undefined,
    passive: { failures: 3, ejectFor: 10_000, ejectForAtMost: 300_000, ejectAtMost: 0.5 },
    panicThreshold: 0,
    slowStart: 0,
    closeOnUnhealthy: false,
    queue: { size: 100, timeout: 5000 },
    breaker: undefined,
    retries: undefined,
    retryBudget: 0.2,
    connectTimeout: undefined,
    idleTimeout: undefined,
    maxDuration: undefined,
    proxyProtocol: undefined,
    tls: undefined,
    rateLimit: undefined,
    concurrencyLimit: undefined,
    bandwidth: undefined,
  })
})

test("what is written takes the place of the defaults, durations as milliseconds and rates as numbers", () => {
  const spec = poolSpec("db", {
    targets: [
      { url: "dns://db:1", name: "all", weight: 0, priority: 2, maxConnections: 7, tls: true },
      "srv://_a._tcp.b",
    ],
    balance: "hash",
    hashOn: "sni",
    health: {
      check: { http: { path: "/x" } },
      interval: "1 minute",
      jitter: 0,
      timeout: 5,
      rise: 1,
      fall: 9,
      port: 80,
      tls: false,
    },
    passive: { ejectFor: "10 minutes" },
    slowStart: "1.5 seconds",
    maxConnections: 5,
    queue: { size: 0 },
    breaker: {},
    retries: 0,
    connectTimeout: 1,
    tls: { sni: "A.example." },
    rateLimit: { limit: 5, per: "1 minute" },
    concurrencyLimit: { max: 3, key: { ipv4: 24 } },
    bandwidth: { up: "1 KiB", key: "client" },
  })
  expect(spec).toMatchObject({
    targets: [
      {
        url: "dns://db:1",
        name: "all",
        weight: 0,
        priority: 2,
        maxConnections: 7,
        source: { kind: "dns", host: "db", port: 1, tls: true },
      },
      { url: "srv://_a._tcp.b", maxConnections: 5, source: { kind: "srv", service: "_a._tcp.b", tls: false } },
    ],
    health: {
      check: { http: { path: "/x" } },
      interval: 60_000,
      jitter: 0,
      timeout: 5,
      rise: 1,
      fall: 9,
      port: 80,
      tls: false,
    },
    // A first time that is longer than the longest by default is the longest.
    passive: { ejectFor: 600_000, ejectForAtMost: 600_000 },
    slowStart: 1500,
    queue: { size: 0, timeout: 5000 },
    breaker: { failures: 0.5, attempts: 20, window: 10_000, openFor: 10_000 },
    retries: 0,
    connectTimeout: 1,
    tls: { sni: "a.example" },
    rateLimit: { limit: 5, per: 60_000, burst: 5, key: { ipv4: 32, ipv6: 64 } },
    concurrencyLimit: { max: 3, key: { ipv4: 24, ipv6: 64 } },
    bandwidth: { up: 1024, down: undefined, key: { ipv4: 32, ipv6: 64 } },
  })
})

test.each([
  ["tcp", { tcp: true }],
  ["tls", { tls: true }],
  ["postgres", { postgres: {} }],
  ["redis", { redis: {} }],
  ["mysql", { mysql: {} }],
  ["http", { http: {} }],
] as const)("health %s is a check with the defaults of everything else", (health, check) => {
  const defaults = { interval: 5000, jitter: 0.1, timeout: 2000, rise: 2, fall: 3, port: undefined, tls: undefined }
  expect(poolSpec("db", { targets: ["tcp://a:1"], health }).health).toEqual({ check, ...defaults })
  expect(poolSpec("db", { targets: ["tcp://a:1"], health: { check: health } }).health).toEqual({ check, ...defaults })
})

test("passive: false is off", () => {
  expect(poolSpec("db", { targets: ["tcp://a:1"], passive: false }).passive).toBeUndefined()
})

test("a pool is frozen all the way down, and is not what the policy wrote", async () => {
  await using folder = new PolicyFolder({
    "a.ts": `${silent}\nconst target = { url: "tcp://a:1" }\nexport const pools = { db: { targets: [target], tls: undefined } }\nexport function change() { target.url = "tcp://b:1" }`,
  })
  const { snapshot } = await folder.loader().load()
  const pool = snapshot.pools.get("db")!
  expect(pool.targets[0]!.url).toBe("tcp://a:1")
  const frozen = (value: unknown): boolean =>
    typeof value !== "object" || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen))
  expect(frozen(pool)).toBe(true)
})

test("pools of all files are in the snapshot, with the files that define them, also where a file has no listener", async () => {
  await using folder = new PolicyFolder({
    "a.ts": withPools(`{ db: { targets: ["tcp://a:1"] } }`),
    "b.ts": `export const pools = { cache: { targets: ["tcp://c:1"] } }\nexport const on_tcp_connect = () => {}`,
    "c.ts": `export default { pools: { web: { targets: ["tcp://w:1"] } }, on_tcp_connect() {} }`,
  })
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([])
  expect([...loaded.snapshot.pools.keys()]).toEqual(["db", "cache", "web"])
  expect([...loaded.snapshot.poolFiles]).toEqual([
    ["db", ["a.ts"]],
    ["cache", ["b.ts"]],
    ["web", ["c.ts"]],
  ])
  expect(version(loaded, "a.ts").pools).toEqual(new Map([["db", loaded.snapshot.pools.get("db")!]]))
})

test("everything that is wrong with pools is said at the export, with the path", async () => {
  await using folder = new PolicyFolder({
    "a.ts": withPools(`{ db: { targets: ["a:1"], balanc: 1 }, Web: {} }`),
    "b.ts": `export default {\n  pools: 5,\n  on_tcp_connect() {} }`,
    "c.ts": withPools(`{ get db() { throw new Error("not today") } }`),
    "d.ts": `export const lisen = 1\n${withPools("[]")}`,
  })
  expect(problems(await folder.loader().load(), folder)).toEqual([
    'a.ts:3:14 pools: "Web": a pool\'s name is 1 to 63 lower-case letters, digits and dashes, a letter first',
    'a.ts:3:14 pools.db: there is no option "balanc"; did you mean "balance"?',
    'a.ts:3:14 pools.db.targets[0]: target "a:1": expected tcp://host:port, tls://host:port, unix:/path, dns://name:port or srv://_service._proto.name; did you mean "tcp://a:1"?',
    "b.ts:2:3 pools: expected pools by their names, like { db: { targets: [...] } }, found 5",
    "c.ts:3:14 pools: not today",
    "d.ts:4:14 pools: expected pools by their names, like { db: { targets: [...] } }, found an empty list",
  ])
})

test("20 faults of a file are shown, and how many more there are", async () => {
  await using folder = new PolicyFolder({
    "a.ts": withPools(`{ db: { targets: Array.from({ length: 30 }, () => 1) } }`),
  })
  const found = problems(await folder.loader().load(), folder)
  expect(found).toHaveLength(21)
  expect(found.at(-1)).toBe("a.ts:3:14 pools: and 10 more")
})

test("files that define one pool with equal options share it, however these are written", async () => {
  await using folder = new PolicyFolder({
    "a.ts": withPools(`{ db: { targets: ["tcp://A:1"], slowStart: "1 minute", health: "tcp" } }`),
    "b.ts": withPools(
      `{ db: { health: { check: "tcp" }, slowStart: 60_000, targets: [{ url: "tcp://a:1", weight: 1 }] } }`,
    ),
  })
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([])
  expect(loaded.snapshot.poolFiles.get("db")).toEqual(["a.ts", "b.ts"])
})

test("of two files with different options for one pool the later-saved one is bad", async () => {
  await using folder = new PolicyFolder({
    "a.ts": withPools(`{ db: { targets: ["tcp://a:1"], retries: 1 } }`),
    "b.ts": withPools(`{ web: { targets: ["tcp://w:1"] }, db: { targets: ["tcp://a:1"], retries: 2 } }`),
  })
  utimesSync(folder.at("a.ts"), 2000, 2000)
  utimesSync(folder.at("b.ts"), 1000, 1000)
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([
    "a.ts:3:14 pool db: retries in a.ts is not that in b.ts; a pool has one value of each option",
  ])
  expect(loaded.problems[0]!.hint).toBe("the file that was saved last has to give way")
  expect(states(loaded)).toEqual({ "a.ts": "bad", "b.ts": "good" })
  expect(loaded.snapshot.pools.get("db")!.retries).toBe(2)
})

test("a file that comes into conflict keeps its last good version, with the pools of that", async () => {
  await using folder = new PolicyFolder({
    "a.ts": withPools(`{ db: { targets: ["tcp://a:1"] } }`),
    "b.ts": withPools(`{ web: { targets: ["tcp://w:1"] } }`),
  })
  for (const file of ["a.ts", "b.ts"]) utimesSync(folder.at(file), 1000, 1000)
  const loader = folder.loader()
  await loader.reload()
  folder.write("b.ts", withPools(`{ web: { targets: ["tcp://x:1"] }, db: { targets: ["tcp://b:1"] } }`))
  const loaded = await loader.reload()
  expect(states(loaded)).toEqual({ "a.ts": "good", "b.ts": "kept" })
  expect(loaded.snapshot.pools.get("web")!.targets[0]!.url).toBe("tcp://w:1")
})

test("a pool that did not change is the same object over reloads, and so is a set that did not", async () => {
  await using folder = new PolicyFolder({
    "a.ts": withPools(`{ db: { targets: ["tcp://a:1"] }, web: { targets: ["tcp://w:1"] } }`),
  })
  const loader = folder.loader()
  const { snapshot: first } = await loader.reload()
  folder.write(
    "a.ts",
    withPools(`{ db: { targets: [{ url: "tcp://a:1" }] }, web: { targets: ["tcp://w:1"] } } // again`),
  )
  const { snapshot: same } = await loader.reload()
  expect(same).not.toBe(first)
  expect(same.pools).toBe(first.pools)
  folder.write("a.ts", withPools(`{ db: { targets: ["tcp://a:1"] }, web: { targets: ["tcp://w:2"] } }`))
  const { changed, snapshot: other } = await loader.reload()
  expect(changed).toBe(true)
  expect(other.pools.get("db")).toBe(first.pools.get("db")!)
  expect(other.pools.get("web")).not.toBe(first.pools.get("web")!)
  folder.write("a.ts", silent)
  expect((await loader.reload()).snapshot.pools.size).toBe(0)
})
