// What the schema says of pools: every message with its path, what is taken, and that nothing makes it throw.
import { describe, expect, test } from "bun:test"
import { decode, shownFault } from "../../../src/config/schema/faults.ts"
import { pools } from "../../../src/config/schema/pool.ts"
import type { Pool } from "../../../src/policy/pool.ts"
import { random, type Random } from "../../helper/random.ts"

function faults(value: unknown): string[] {
  const decoded = decode(pools, value)
  return "faults" in decoded ? decoded.faults.map(shownFault) : []
}

/** What is wrong with a pool of these options beside one good target. */
function wrong(options: object): string[] {
  return faults({ db: { targets: ["tcp://a:1"], ...options } })
}

const TARGET = 'target like "tcp://host:port"'
const KINDS = "expected tcp://host:port, tls://host:port, unix:/path, dns://name:port or srv://_service._proto.name"

describe("what pools are", () => {
  const expected = "expected pools by their names, like { db: { targets: [...] } }"

  test.each([
    [[], `${expected}, found an empty list`],
    [null, `${expected}, found null`],
    [5, `${expected}, found 5`],
    ["db", `${expected}, found "db"`],
    [new Map(), `${expected}, found a Map`],
    [() => ({}), `${expected}, found a function; was it meant to be called?`],
    [{ db: null }, "db: expected an object like { targets: [...] }, found null"],
    [{ db: ["tcp://a:1"] }, "db: expected an object like { targets: [...] }, found a list"],
    [{ db: new Date(0) }, "db: expected an object like { targets: [...] }, found a Date"],
    [{ db: {} }, "db: targets is missing: expected a list of 1 to 1,000 targets"],
    [
      { Db: { targets: ["tcp://a:1"] } },
      '"Db": a pool\'s name is 1 to 63 lower-case letters, digits and dashes, a letter first',
    ],
    [
      { "tcp://a:1": 1 },
      '"tcp://a:1": a pool\'s name is 1 to 63 lower-case letters, digits and dashes, a letter first',
    ],
  ])("%p", (value, message) => {
    expect(faults(value)).toEqual([message])
  })

  test("a name has at most 63 characters, a file at most 1,000 pools", () => {
    const pool = { targets: ["tcp://a:1"] }
    expect(faults({ ["a".repeat(63)]: pool })).toEqual([])
    expect(faults({ ["a".repeat(64)]: pool })).toHaveLength(1)
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, pool]))
    expect(faults(many(1000))).toEqual([])
    expect(faults(many(1001))).toEqual(["1,001 pools; at most 1,000"])
  })
})

describe("targets", () => {
  test.each([
    [[], `db.targets: expected a list of 1 to 1,000 targets, found an empty list`],
    ["tcp://a:1", `db.targets: expected a list of 1 to 1,000 targets, found "tcp://a:1"`],
    [[5], `db.targets[0]: expected a ${TARGET}, or an object like { url: "tcp://host:port" }, found 5`],
    [[{}], `db.targets[0]: url is missing: expected a ${TARGET}`],
    [[{ url: 5 }], `db.targets[0].url: expected a ${TARGET}, found 5`],
    [["a:1"], `db.targets[0]: target "a:1": ${KINDS}; did you mean "tcp://a:1"?`],
    [
      ["https://a:1"],
      `db.targets[0]: target "https://a:1": https:// is not a kind of target: ${KINDS}; did you mean "tls://a:1"?`,
    ],
    [["other"], `db.targets[0]: target "other": ${KINDS}`],
    [["tcp://a"], `db.targets[0]: target "tcp://a": a target needs a port, like tcp://a:5432`],
    [["unix:x"], `db.targets[0]: target "unix:x": a unix: target needs an absolute path, like unix:/run/db.sock`],
    [
      ["dns://10.0.0.1:5"],
      `db.targets[0]: target "dns://10.0.0.1:5": an address does not follow the DNS; write tcp://10.0.0.1:5`,
    ],
    [["dns://a"], `db.targets[0]: target "dns://a": a target needs a port, like dns://a:5432`],
    [
      ["srv://db.internal"],
      `db.targets[0]: target "srv://db.internal": expected srv://_service._proto.name, like srv://_postgresql._tcp.db.internal`,
    ],
    [["srv://_a._tcp.b:1"], `db.targets[0]: target "srv://_a._tcp.b:1": SRV records have the port: leave it out`],
    [[{ url: "tcp://a:1", wieght: 2 }], `db.targets[0]: there is no option "wieght"; did you mean "weight"?`],
    [[{ url: "tcp://a:1", weight: -1 }], "db.targets[0].weight: expected a number from 0 to 1,000,000, found -1"],
    [[{ url: "tcp://a:1", weight: "2" }], 'db.targets[0].weight: expected a number from 0 to 1,000,000, found "2"'],
    [
      [{ url: "tcp://a:1", weight: Number.NaN }],
      "db.targets[0].weight: expected a number from 0 to 1,000,000, found NaN",
    ],
    [[{ url: "tcp://a:1", priority: 1.5 }], "db.targets[0].priority: expected a whole number from 0 to 100, found 1.5"],
    [[{ url: "tcp://a:1", name: "" }], 'db.targets[0].name: expected a text of 1 to 100 characters, found ""'],
    [
      [{ url: "tcp://a:1", maxConnections: 0 }],
      "db.targets[0].maxConnections: expected a whole number from 1 to 1,000,000, found 0",
    ],
    [
      [{ url: "tcp://a:1", tls: true }],
      `db.targets[0].tls: target "tcp://a:1": tls is for dns:// and srv://; write tls://a:1`,
    ],
    [[{ url: "unix:/a", tls: true }], `db.targets[0].tls: target "unix:/a": tls is for dns:// and srv://`],
    [["tcp://a:1", "tcp://b:1", "TCP://A:1"], 'db.targets[2]: "tcp://a:1" is targets[0] already'],
    [
      ["tcp://a:1", { url: "tcp://b:1", name: "x" }, { url: "tcp://c:1", name: "x" }],
      'db.targets[2]: "x" is the name of targets[1] already',
    ],
    [
      ["tcp://a:1", { url: "tcp://b:1", name: "tcp://a:1" }],
      'db.targets[1]: "tcp://a:1" is the name of targets[0] already',
    ],
  ])("%j", (targets, message) => {
    expect(wrong({ targets })).toEqual([message])
  })

  test("there are at most 1,000", () => {
    const targets = Array.from({ length: 1001 }, (_, i) => `tcp://h${i}:1`)
    expect(wrong({ targets: targets.slice(1) })).toEqual([])
    expect(wrong({ targets })).toEqual(["db.targets: expected a list of 1 to 1,000 targets, found a list"])
  })

  test("all weights may be 0: such a pool has no target", () => {
    expect(wrong({ targets: [{ url: "tcp://a:1", weight: 0 }] })).toEqual([])
  })
})

describe("options", () => {
  const kinds = '"tcp", "tls", "postgres", "redis", "mysql"'

  test.each([
    [{ balanc: "hash" }, `db: there is no option "balanc"; did you mean "balance"?`],
    [
      { colour: "red" },
      'db: there is no option "colour"; known are targets, balance, hashOn, health, passive, panicThreshold, slowStart, closeOnUnhealthy, maxConnections, queue, breaker, retries, retryBudget, connectTimeout, idleTimeout, maxDuration, proxyProtocol, tls, rateLimit, concurrencyLimit, bandwidth',
    ],
    [
      { balance: "round-robbin" },
      'db.balance: expected "round-robin", "least-connections", "random-two", "hash", "first" or "latency", found "round-robbin"; did you mean "round-robin"?',
    ],
    [
      { balance: "hash", hashOn: "cleint" },
      'db.hashOn: expected "client" or "sni", found "cleint"; did you mean "client"?',
    ],
    [{ health: "postgers" }, `db.health: expected ${kinds} or "http", found "postgers"; did you mean "postgres"?`],
    [{ health: 5 }, `db.health: expected ${kinds}, "http", or options like { check, interval }, found 5`],
    [
      { health: { interval: "10ms" } },
      'db.health.interval: expected a duration like "5 seconds", from 100 ms to 30 days, found "10ms"',
    ],
    [
      { health: { interval: "5 parsecs" } },
      'db.health.interval: expected a duration like "5 seconds", from 100 ms to 30 days, found "5 parsecs"',
    ],
    [{ health: { rise: 0 } }, "db.health.rise: expected a whole number from 1 to 100, found 0"],
    [{ health: { port: 65_536 } }, "db.health.port: expected a whole number from 1 to 65,535, found 65536"],
    [
      { health: { check: {} } },
      `db.health.check: expected ${kinds}, "http", or an object with expect, http, postgres, redis or mysql, found an object`,
    ],
    [
      { health: { check: { expect: "" } } },
      'db.health.check.expect: expected a text of 1 to 16,384 characters, found ""',
    ],
    [
      { health: { check: { send: "x" } } },
      "db.health.check: expect is missing: expected a text of 1 to 16,384 characters",
    ],
    [
      { health: { check: { http: { pth: "/" } } } },
      'db.health.check.http: there is no option "pth"; did you mean "path"?',
    ],
    [
      { health: { check: { http: { path: "x" } } } },
      'db.health.check.http.path: expected a path of 1 to 2,048 characters, found "x"',
    ],
    [
      { health: { check: { http: { path: "/a\r\nb" } } } },
      'db.health.check.http.path: expected a path of 1 to 2,048 characters, found "/a\\r\\nb"',
    ],
    [
      { health: { check: { http: { status: [99] } } } },
      "db.health.check.http.status[0]: expected a whole number from 100 to 599, found 99",
    ],
    [{ health: { check: { http: {}, redis: {} } } }, 'db.health.check: there is no option "redis"; known are http'],
    [
      { health: { check: { redis: { role: "leader" } } } },
      'db.health.check.redis.role: expected "master" or "slave", found "leader"',
    ],
    [
      { health: { check: { postgres: { user: "a\0b" } } } },
      'db.health.check.postgres.user: expected a name of 1 to 128 characters, found "a\\u0000b"',
    ],
    [{ passive: true }, "db.passive: expected false, or options like { failures, ejectFor }, found true"],
    [{ passive: { ejectAtMost: 1.1 } }, "db.passive.ejectAtMost: expected a number from 0 to 1, found 1.1"],
    [
      { passive: { ejectFor: "1 minute", ejectForAtMost: "30 seconds" } },
      "db.passive.ejectForAtMost: is shorter than ejectFor",
    ],
    [{ passive: { ejectForAtMost: 5000 } }, "db.passive.ejectForAtMost: is shorter than ejectFor"],
    [{ breaker: { failures: 0 } }, "db.breaker.failures: expected a number above 0 to 1, found 0"],
    [
      { breaker: { window: 0 } },
      'db.breaker.window: expected a duration like "5 seconds", from 1 ms to 30 days, found 0',
    ],
    [
      { maxConnections: 1, queue: { size: 100_001 } },
      "db.queue.size: expected a whole number from 0 to 100,000, found 100001",
    ],
    [{ queue: {} }, "db.queue: has no effect without maxConnections"],
    [{ hashOn: "sni" }, 'db.hashOn: has no effect without balance: "hash"'],
    [{ closeOnUnhealthy: true }, "db.closeOnUnhealthy: has no effect without health"],
    [{ closeOnUnhealthy: "yes" }, 'db.closeOnUnhealthy: expected true or false, found "yes"'],
    [{ retries: -1 }, "db.retries: expected a whole number from 0 to 1,000, found -1"],
    [{ connectTimeout: 0 }, 'db.connectTimeout: expected a duration like "5 seconds", from 1 ms to 30 days, found 0'],
    [
      { idleTimeout: "31 days" },
      'db.idleTimeout: expected a duration like "5 seconds", from 1 ms to 30 days, found "31 days"',
    ],
    [{ proxyProtocol: 3 }, "db.proxyProtocol: expected 1 or 2, found 3"],
    [{ tls: {} }, "db.tls: has no effect: no target is tls://host:port, or dns:// or srv:// with `tls: true`"],
    [{ tls: { sni: "-" } }, 'db.tls.sni: expected a host name, found "-"'],
    [
      { tls: { ca: "/etc/ca.pem" } },
      'db.tls.ca: expected PEM text ("-----BEGIN CERTIFICATE-----"), found another text',
    ],
    [{ tls: { alpn: "h2" } }, 'db.tls.alpn: expected a list of at most 16 names, found "h2"'],
    [
      { tls: { alpn: ["h 2"] } },
      'db.tls.alpn[0]: expected the name of a protocol, like "h2" or "postgresql", found "h 2"',
    ],
    [
      { targets: ["tls://a:1"], tls: { ca: "-----BEGIN CERTIFICATE-----", insecureSkipVerify: true } },
      "db.tls: ca has no effect with insecureSkipVerify",
    ],
    [
      { rateLimit: {} },
      'db.rateLimit: limit is missing: expected a whole number from 1 to 1,000,000,000|db.rateLimit: per is missing: expected a duration like "5 seconds", from 1 ms to 30 days',
    ],
    [
      { rateLimit: { limit: 1, per: "1s", key: {} } },
      "db.rateLimit.key: expected prefix lengths like { ipv4: 24, ipv6: 48 }, found an object",
    ],
    [
      { rateLimit: { limit: 1, per: "1s", key: { ipv4: 33 } } },
      "db.rateLimit.key.ipv4: expected a whole number from 0 to 32, found 33",
    ],
    [
      { rateLimit: { limit: 1, per: "1s", key: () => 1 } },
      'db.rateLimit.key: expected "client", "sni", "all" or prefix lengths like { ipv4: 24, ipv6: 48 }, found a function (key); was it meant to be called?',
    ],
    [
      { concurrencyLimit: { max: 1, key: "clint" } },
      'db.concurrencyLimit.key: expected "client", "sni" or "all", found "clint"; did you mean "client"?',
    ],
    [{ bandwidth: {} }, "db.bandwidth: bandwidth: expected up, down or both"],
    [
      { bandwidth: { up: "1 Mbit" } },
      'db.bandwidth.up: "1 Mbit" is not a rate: expected bytes per second, like "512 KiB", "10 MB/s" or a number, 1 to 10^12; a small b is for bits, of which a byte has 8',
    ],
  ])("%j", (options, messages) => {
    expect(wrong(options)).toEqual(messages.split("|"))
  })

  test("a key is not shown where it was written in the wrong place", () => {
    const certificate = { cert: "-----BEGIN CERTIFICATE-----", key: "secret" }
    expect(wrong({ tls: { certificate } })).toEqual([
      'db.tls.certificate.key: expected PEM text ("-----BEGIN PRIVATE KEY-----"), found another text',
    ])
  })

  test("tls has an effect for checks inside TLS as well", () => {
    expect(wrong({ health: "tls", tls: { sni: "a.example" } })).toEqual([])
    expect(wrong({ health: { check: "http", tls: true }, tls: { sni: "a.example" } })).toEqual([])
    expect(wrong({ targets: [{ url: "dns://a:1", tls: true }], tls: { sni: "a.example" } })).toEqual([])
  })

  test("a queue has an effect where a target has maxConnections, or where connections wait for the DNS", () => {
    expect(wrong({ targets: ["dns://a:1"], queue: {} })).toEqual([])
    expect(wrong({ targets: ["tcp://a:1", "srv://_a._tcp.b"], queue: {} })).toEqual([])
    expect(wrong({ targets: [{ url: "tcp://a:1", maxConnections: 5 }], queue: {} })).toEqual([])
  })

  test("what is undefined is left out", () => {
    expect(
      wrong({ queue: undefined, health: { interval: undefined }, targets: [{ url: "tcp://a:1", name: undefined }] }),
    ).toEqual([])
  })

  test("everything that is wrong is said at once, in every pool", () => {
    expect(
      faults({
        a: { targets: ["x"], balance: 1, queue: 2, retries: "3" },
        b: { targets: ["tcp://b:1", "tcp://b:1"], queue: {}, hashOn: "sni" },
        c: {},
      }).map((message) => message.split(":")[0]),
    ).toEqual(["a.targets[0]", "a.balance", "a.queue", "a.retries", "b.targets[1]", "b.queue", "b.hashOn", "c"])
  })
})

const CHECKS = ["tcp", "tls", "postgres", "redis", "mysql", "http"] as const

/** Any pool that makes sense. */
function anyPool({ below, pick }: Random): Pool {
  const maybe = <A>(value: () => A) => (below(2) === 0 ? undefined : value())
  const whole = (least: number, most: number) => least + below(most - least + 1)
  const share = () => below(1001) / 1000
  const duration = (least: number) =>
    pick([() => whole(least, 1e6), () => `${whole(least, 1e6)} ms`, () => `${whole(1, 40)}.5minutes`, () => "1 hour"])()
  const key = () => pick(["client", "sni", "all", { ipv4: whole(0, 32) }, { ipv4: 24, ipv6: whole(0, 128) }] as const)
  const targets = Array.from({ length: whole(1, 5) }, (_, i) => {
    const kind = pick(["tcp://h", "tls://h", "unix:/h", "dns://h", "srv://_a._tcp.h", "tcp://[::1]:"])
    const url = kind.startsWith("tcp://[") ? `${kind}${i + 1}` : `${kind}${i}${/^(unix|srv)/.test(kind) ? "" : ":5432"}`
    if (below(3) === 0) return url
    const follows = /^(dns|srv)/.test(url)
    return defined({
      url,
      name: maybe(() => `name ${i}`),
      weight: maybe(() => pick([0, 1, 0.5, 1e6])),
      priority: maybe(() => whole(0, 100)),
      maxConnections: maybe(() => whole(1, 1e6)),
      tls: follows ? maybe(() => below(2) === 0) : undefined,
    })
  })
  const balance = pick(["round-robin", "least-connections", "random-two", "hash", "first", "latency"] as const)
  const maxConnections = maybe(() => whole(1, 1e6))
  const health = maybe(() =>
    pick([
      () => pick(CHECKS),
      () =>
        defined({
          check: maybe(() =>
            pick([
              ...CHECKS,
              { send: "PING\r\n", expect: "+PONG" },
              { http: { path: "/x", status: [200, 204] } },
              { postgres: { user: "u" } },
              { redis: { role: "master" } },
              { mysql: {} },
            ] as const),
          ),
          interval: maybe(() => duration(100)),
          jitter: maybe(share),
          timeout: maybe(() => duration(1)),
          rise: maybe(() => whole(1, 100)),
          port: maybe(() => whole(1, 65_535)),
          tls: maybe(() => below(2) === 0),
        }),
    ])(),
  )
  return defined({
    targets,
    balance: maybe(() => balance),
    health,
    passive: maybe(() => pick([false, {}, { failures: 1 }, { ejectFor: 100, ejectForAtMost: "1s" }] as const)),
    panicThreshold: maybe(share),
    slowStart: maybe(() => duration(0)),
    closeOnUnhealthy: health === undefined ? undefined : maybe(() => true),
    maxConnections,
    queue: maxConnections === undefined ? undefined : maybe(() => defined({ size: maybe(() => whole(0, 100_000)) })),
    breaker: maybe(() => defined({ failures: maybe(() => 0.001 + share() / 2), window: maybe(() => duration(1)) })),
    retries: maybe(() => whole(0, 1000)),
    retryBudget: maybe(share),
    connectTimeout: maybe(() => duration(1)),
    maxDuration: maybe(() => duration(1)),
    proxyProtocol: maybe(() => pick([1, 2] as const)),
    rateLimit: maybe(() => defined({ limit: whole(1, 1e9), per: duration(1), key: maybe(key) })),
    concurrencyLimit: maybe(() => defined({ max: whole(1, 1e9), key: maybe(key) })),
    bandwidth: maybe(() => defined({ up: pick([1, 1e12, "512 KiB", "10 MB/s"]), key: maybe(key) })),
  }) satisfies Pool
}

type Defined<A> = { [Name in keyof A as undefined extends A[Name] ? never : Name]: A[Name] } & {
  [Name in keyof A as undefined extends A[Name] ? Name : never]?: Exclude<A[Name], undefined>
}

function defined<const A extends object>(value: A): Defined<A>
function defined(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined))
}

describe("properties", () => {
  test("every pool that makes sense is taken", () => {
    const source = random(7)
    for (let i = 0; i < 3000; i++) {
      const pool = anyPool(source)
      expect({ pool, faults: faults({ db: pool }) }).toEqual({ pool, faults: [] })
    }
  })

  test("whatever else is in a pool is a fault with a path, and never throws", () => {
    const source = random(8)
    const { below, pick } = source
    const junk = [
      null,
      undefined,
      true,
      -1,
      1e300,
      Number.NaN,
      "",
      "x",
      "tcp://a:1",
      [],
      {},
      [[]],
      { url: 1 },
      Symbol("s"),
      () => 1,
      new Map(),
      new Uint8Array(3),
      10n,
    ]
    /** The pool with one or more of its parts replaced. */
    const spoilt = (value: unknown): unknown => {
      if (below(4) === 0) return pick(junk)
      if (Array.isArray(value)) return value.map((item) => (below(3) === 0 ? spoilt(item) : item))
      if (typeof value !== "object" || value === null) return below(3) === 0 ? pick(junk) : value
      const entries = Object.entries(value).map(([name, inner]) => [
        below(10) === 0 ? `${name}x` : name,
        below(3) === 0 ? spoilt(inner) : inner,
      ])
      return Object.fromEntries(entries)
    }
    for (let i = 0; i < 5000; i++) {
      const decoded = decode(pools, { db: spoilt(anyPool(source)) })
      if (!("faults" in decoded)) continue
      expect(decoded.faults.length).toBeGreaterThan(0)
      for (const fault of decoded.faults) {
        expect(fault.path[0]).toBe("db")
        expect(shownFault(fault)).toMatch(/^db/)
      }
    }
  })

  test("what goes in circles, or throws when it is read, is no trouble", () => {
    const circle: Record<string, unknown> = { targets: ["tcp://a:1"] }
    circle["health"] = circle
    expect(faults({ db: circle })).toEqual(
      expect.arrayContaining([expect.stringMatching(/^db\.health: there is no option "targets"/)]),
    )
  })
})
