// Following names over time, with a DNS of the test's own and a clock that it moves.
import { describe, expect, test } from "bun:test"
import { Clock, Effect, Random } from "effect"
import { TestClock } from "effect/testing"
import { formatIp, parseIp } from "../../src/policy/address.ts"
import type { Addresses, Services } from "../../src/upstream/dns.ts"
import { LookupFailed, NothingFound } from "../../src/upstream/dns-failed.ts"
import { follow, type DnsRecord, type Followed } from "../../src/upstream/follow.ts"

const DB: Followed = { kind: "dns", host: "db.test", port: 5432, tls: false }
const PG: Followed = { kind: "srv", service: "_pg._tcp.test", tls: false }

const silence = new LookupFailed({ message: "db.test: no answer", wasAnswered: false })

function absence(ttl: number): NothingFound {
  return new NothingFound({ message: "db.test: there is no such name", ttl })
}

function addresses(texts: readonly string[], ttl = 10, more: Partial<Addresses> = {}): Addresses {
  const ips = texts.map((text) => parseIp(text)!)
  const ipv4 = ips.filter(({ family }) => family === "IPv4")
  const ipv6 = ips.filter(({ family }) => family === "IPv6")
  return { ipv4, ipv6, problem: undefined, ttl, ...more }
}

interface Row {
  readonly host: string
  readonly port: number
  readonly priority?: number
  readonly weight?: number
  readonly addresses?: readonly string[]
}

function services(rows: readonly Row[], ttl = 10): Services {
  const known = rows.flatMap(({ addresses: list, host }) => (list === undefined ? [] : [[host, list] as const]))
  return {
    services: rows.map(({ host, port, priority = 0, weight = 0 }) => ({ host, port, priority, weight })),
    addresses: new Map(known.map(([host, list]) => [host, list.map((text) => parseIp(text)!)])),
    ttl,
  }
}

/** A record as one text: `1*db-1:5432@0`, and the addresses that came with it. */
function text({ addresses: ips, name, priority, weight }: DnsRecord): string {
  return `${weight}*${name}@${priority}${ips.length === 0 ? "" : ` ${ips.map(formatIp).join(" ")}`}`
}

interface World {
  /** What the DNS says from now on. */
  says: Addresses | Services | LookupFailed | NothingFound
  /** What it says of the hosts of services; of others it says nothing. */
  hosts: Readonly<Record<string, Addresses | NothingFound>>
  /** Records and problems, in order, since the last look. */
  readonly told: () => unknown[]
  /** When the DNS was asked, in seconds. */
  readonly asked: () => number[]
  /** Lets time pass. */
  readonly pass: (seconds: number) => Effect.Effect<void>
}

/** Follows a source from 0 on, where nothing is left to chance but `jitter`. */
function following(
  source: Followed,
  first: World["says"],
  body: (world: World) => Effect.Effect<void>,
  jitter = 0,
): Promise<void> {
  let told: unknown[] = []
  const asked: number[] = []
  const world: World = {
    says: first,
    hosts: {},
    told: () => told.splice(0),
    asked: () => asked.splice(0),
    pass: (seconds) => TestClock.adjust(seconds * 1000),
  }
  const answer = <Found>() =>
    Effect.gen(function* () {
      asked.push((yield* Clock.currentTimeMillis) / 1000)
      const { says } = world
      if (says instanceof LookupFailed || says instanceof NothingFound) return yield* says
      return says as Found
    })
  const host = (name: string): Effect.Effect<Addresses, LookupFailed | NothingFound> =>
    Effect.suspend(() => {
      const said = world.hosts[name]
      if (said === undefined) return Effect.never
      return said instanceof NothingFound ? Effect.fail(said) : Effect.succeed(said)
    })
  const effect = follow(source, {
    dns: { addresses: source.kind === "dns" ? () => answer<Addresses>() : host, services: () => answer<Services>() },
    onRecords: (records) => told.push(records.map(text)),
    onProblem: (problem) => told.push(problem),
  })
  const program = Effect.gen(function* () {
    yield* Effect.forkScoped(effect)
    yield* world.pass(0)
    yield* body(world)
  })
  const random = { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => jitter }
  return Effect.runPromise(
    Effect.scoped(program).pipe(Effect.provideService(Random.Random, random), Effect.provide(TestClock.layer())),
  )
}

describe("an answer", () => {
  test("is told at once, holds as long as it says, and is told again when it is another one", () =>
    following(DB, addresses(["10.0.0.2", "2001:db8::1", "10.0.0.1"], 10), (world) =>
      Effect.gen(function* () {
        expect(world.told()).toEqual([["1*10.0.0.1:5432@0", "1*10.0.0.2:5432@0", "1*[2001:db8::1]:5432@0"]])
        yield* world.pass(9.999)
        expect(world.asked()).toEqual([0])
        // The same ones in another order.
        world.says = addresses(["2001:db8::1", "10.0.0.1", "10.0.0.2", "10.0.0.2"], 10)
        yield* world.pass(0.001)
        expect([world.asked(), world.told()]).toEqual([[10], []])
        world.says = addresses(["10.0.0.3"], 10)
        yield* world.pass(10)
        expect([world.asked(), world.told()]).toEqual([[20], [["1*10.0.0.3:5432@0"]]])
      }),
    ))

  test.each([
    [0, 1],
    [1, 1],
    [299, 299],
    [86_400, 300],
  ])("that holds for %i s is asked for again after %i s", (ttl, after) =>
    following(DB, addresses(["10.0.0.1"], ttl), (world) =>
      Effect.gen(function* () {
        yield* world.pass(after * 2)
        expect(world.asked()).toEqual([0, after, after * 2])
      }),
    ),
  )

  test("is asked for up to a tenth later, and never earlier", () =>
    following(
      DB,
      addresses(["10.0.0.1"], 10),
      (world) =>
        Effect.gen(function* () {
          yield* world.pass(25)
          expect(world.asked()).toEqual([0, 10.5, 21])
        }),
      0.5,
    ))

  test("of more than 1,000 records has the first 1,000 of them, and says so", () => {
    const many = Array.from({ length: 1200 }, (_, i) => `10.0.${i >> 8}.${i & 255}`)
    return following(DB, addresses(many), (world) =>
      Effect.gen(function* () {
        const [records, problem] = world.told()
        expect(records).toHaveLength(1000)
        expect(problem).toBe("db.test: it has 1200 records, of which 1000 are used")
        world.says = addresses(many.toReversed())
        yield* world.pass(10)
        expect(world.told()).toEqual([])
        world.says = addresses(["10.0.0.1"])
        yield* world.pass(10)
        expect(world.told()).toEqual([["1*10.0.0.1:5432@0"], undefined])
      }),
    )
  })
})

describe("silence", () => {
  test("leaves the last answer as it is, is told once, and asked into after 1, 2, 4 to 30 s", () =>
    following(DB, addresses(["10.0.0.1"], 10), (world) =>
      Effect.gen(function* () {
        world.told()
        world.says = silence
        yield* world.pass(10)
        expect(world.told()).toEqual(["db.test: no answer"])
        yield* world.pass(31 + 60)
        expect(world.asked()).toEqual([0, 10, 11, 13, 17, 25, 41, 71, 101])
        expect(world.told()).toEqual([])
        world.says = addresses(["10.0.0.1"], 10)
        yield* world.pass(30)
        expect(world.told()).toEqual([undefined])
        // From the beginning again.
        world.says = silence
        world.asked()
        yield* world.pass(13)
        expect([world.asked(), world.told()]).toEqual([[141, 142, 144], ["db.test: no answer"]])
      }),
    ))

  test("from the beginning is told as well, until there is an answer", () =>
    following(DB, silence, (world) =>
      Effect.gen(function* () {
        expect(world.told()).toEqual(["db.test: no answer"])
        world.says = addresses(["10.0.0.1"])
        yield* world.pass(1)
        expect(world.told()).toEqual([["1*10.0.0.1:5432@0"], undefined])
      }),
    ))

  test("about one family leaves that family's addresses as they are", () =>
    following(DB, addresses(["10.0.0.1", "2001:db8::1"], 10), (world) =>
      Effect.gen(function* () {
        world.told()
        world.says = addresses(["10.0.0.2"], 10, { ipv6: undefined, problem: "SERVFAIL" })
        yield* world.pass(10)
        expect(world.told()).toEqual([["1*10.0.0.2:5432@0", "1*[2001:db8::1]:5432@0"], "db.test: SERVFAIL"])
        yield* world.pass(3)
        expect(world.asked()).toEqual([0, 10, 11, 13])
        // An answer that there are none any more is one.
        world.says = addresses(["10.0.0.2"], 10)
        yield* world.pass(4)
        expect(world.told()).toEqual([["1*10.0.0.2:5432@0"], undefined])
      }),
    ))

  test("about a family that never had an address is nothing to tell", () =>
    following(DB, addresses(["10.0.0.1"], 10, { ipv6: undefined, problem: "SERVFAIL" }), (world) =>
      Effect.gen(function* () {
        yield* world.pass(20)
        expect(world.told()).toEqual([["1*10.0.0.1:5432@0"]])
        expect(world.asked()).toEqual([0, 10, 20])
      }),
    ))
})

describe("the word that there is nothing", () => {
  test.each([
    [0, 1],
    [5, 5],
    [3600, 30],
  ])("for %i s leaves the last answer as it is, and is asked for again after %i s", (ttl, after) =>
    following(DB, addresses(["10.0.0.1"], 10), (world) =>
      Effect.gen(function* () {
        world.told()
        world.asked()
        world.says = absence(ttl)
        yield* world.pass(10 + after * 2)
        expect(world.told()).toEqual(["db.test: there is no such name"])
        expect(world.asked()).toEqual([10, 10 + after, 10 + after * 2])
      }),
    ),
  )

  test("is another problem than silence", () =>
    following(DB, silence, (world) =>
      Effect.gen(function* () {
        world.says = absence(1)
        yield* world.pass(1)
        world.says = silence
        yield* world.pass(1)
        expect(world.told()).toEqual(["db.test: no answer", "db.test: there is no such name", "db.test: no answer"])
      }),
    ))
})

const twice = services([
  { host: "a.test", port: 1, priority: 2, weight: 9 },
  { host: "a.test", port: 1, priority: 1, weight: 3 },
  { host: "a.test", port: 1, priority: 1, weight: 4 },
  { host: "a.test", port: 2, priority: 3 },
])

/** Three services, one of which comes with these addresses. */
function three(...list: string[]): Services {
  return services([
    { host: "a.test", port: 3, weight: 60 },
    { host: "b.test", port: 2, addresses: list },
    { host: "c.test", port: 1, priority: 1, weight: 5 },
  ])
}

describe("services", () => {
  test("have weights, priorities and the addresses that came with them; a weight of 0 is the least share", () =>
    following(PG, three("10.0.0.2", "10.0.0.1", "2001:db8::1"), (world) =>
      Effect.gen(function* () {
        // Two hosts nobody knows: they are waited for, but not for long.
        expect(world.told()).toEqual([])
        yield* world.pass(1)
        expect(world.told()).toEqual([
          ["60*a.test:3@0", "1*b.test:2@0 2001:db8::1 10.0.0.1 10.0.0.2", "5*c.test:1@1"],
          "a.test: no answer within 1000 ms",
        ])
        world.says = three("2001:db8::1", "10.0.0.1", "10.0.0.2")
        yield* world.pass(11)
        expect(world.told()).toEqual([])
        world.says = three("10.0.0.3")
        yield* world.pass(11)
        expect(world.told()).toEqual([["60*a.test:3@0", "1*b.test:2@0 10.0.0.3", "5*c.test:1@1"]])
      }),
    ))

  test("whose hosts came without addresses have those that the DNS says, as long as they hold", () =>
    following(PG, absence(1), (world) =>
      Effect.gen(function* () {
        const others = ["1*b.test:2@0 10.0.0.3", "5*c.test:1@1 10.0.0.9"]
        world.hosts = {
          "a.test.": addresses(["10.0.0.2", "2001:db8::1", "10.0.0.1"], 3),
          "c.test.": addresses(["10.0.0.9"], 60, { ipv6: undefined, problem: "SERVFAIL" }),
        }
        world.says = three("10.0.0.3")
        world.told()
        yield* world.pass(1)
        expect(world.told()).toEqual([["60*a.test:3@0 2001:db8::1 10.0.0.1 10.0.0.2", ...others], undefined])
        // One says nothing any more, one that it is not there: they stay as they were.
        world.hosts = { "c.test.": absence(1) }
        yield* world.pass(3 + 1)
        expect(world.told()).toEqual(["a.test: no answer within 1000 ms"])
        expect(world.asked()).toEqual([0, 1, 4])
        // Asked again soon, and not only when the records are over.
        world.hosts = { "a.test.": addresses(["10.0.0.4"], 60, { ipv6: undefined, problem: "SERVFAIL" }) }
        yield* world.pass(1)
        expect(world.told()).toEqual([])
        yield* world.pass(1)
        expect(world.asked()).toEqual([6])
        expect(world.told()).toEqual([["60*a.test:3@0 2001:db8::1 10.0.0.4", ...others]])
        world.hosts = { "a.test.": addresses(["10.0.0.4"], 60), "c.test.": absence(1) }
        yield* world.pass(3)
        expect(world.told()).toEqual([["60*a.test:3@0 10.0.0.4", ...others], undefined])
      }),
    ))

  test("that come twice are one, by the better record", () =>
    following(PG, twice, (world) =>
      Effect.gen(function* () {
        yield* world.pass(1)
        expect(world.told()[0]).toEqual(["4*a.test:1@1", "1*a.test:2@3"])
      }),
    ))

  test("that are said not to be go, which neither silence nor absence does to them", () =>
    following(PG, services([{ host: "a.test", port: 1, addresses: ["10.0.0.1"] }]), (world) =>
      Effect.gen(function* () {
        world.says = absence(10)
        yield* world.pass(10)
        world.says = silence
        yield* world.pass(10)
        expect(world.told()).toEqual([
          ["1*a.test:1@0 10.0.0.1"],
          "db.test: there is no such name",
          "db.test: no answer",
        ])
        world.says = services([])
        yield* world.pass(1)
        expect(world.told()).toEqual([[], undefined])
      }),
    ))

  test("that are said not to be from the beginning are told", () =>
    following(PG, services([]), (world) => Effect.sync(() => expect(world.told()).toEqual([[]]))))

  test("on more hosts than 100 have the addresses of 100 of them", () => {
    const rows = Array.from({ length: 150 }, (_, i) => ({ host: `h${100 + i}.test`, port: 1 }))
    return following(PG, absence(1), (world) =>
      Effect.gen(function* () {
        world.hosts = Object.fromEntries(rows.map(({ host }) => [`${host}.`, addresses(["10.0.0.1"])]))
        world.says = services(rows)
        world.told()
        yield* world.pass(1)
        const records = world.told()[0] as string[]
        expect(records.filter((record) => record.endsWith(" 10.0.0.1"))).toHaveLength(100)
        expect(records).toHaveLength(150)
      }),
    )
  })
})
