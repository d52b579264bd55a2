import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { deny, respond, route } from "../../src/policy/decision.ts"
import type { Decision, RouteOptions } from "../../src/policy/decision.ts"
import { leaveMember, type Left } from "../../src/connection/leave-member.ts"
import type { PoolSpec } from "../../src/policy/pool.ts"
import { Pools } from "../../src/upstream/pools.ts"
import { blackHole } from "../helper/black-hole.ts"
import { gateway, type TestGateway } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { NO_EXITS, PASSIVE, poolSpec, targetSpec, wayThrough } from "../helper/pools.ts"
import { freePort } from "../helper/ports.ts"
import { answers, echo, resetDelivered, stalls, upstream } from "../helper/upstream.ts"
import { connect, type Wire } from "../helper/wire.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const refusing = () => `tcp://127.0.0.1:${freePort()}`
const greets = async (wire: Wire) => {
  await wire.write("hello")
  wire.end()
}
const names = (text: string) => answers(() => text)

interface Pooled extends Disposable {
  readonly gate: TestGateway
  readonly pools: Pools
  readonly changes: string[]
  /** What became of connections to targets that failed. */
  readonly left: Left[]
}

/** A gateway that routes every connection to the pool `db`. */
function pooled(spec: PoolSpec, options?: RouteOptions, otherwise?: ReturnType<typeof deny>): Pooled {
  const changes: string[] = []
  const left: Left[] = []
  const pools: Pools = new Pools({
    changed: (_, member, change) => changes.push(`${change} ${member.id}`),
    leave: (_, member, who) => left.push(leaveMember(gate.path, member, who, "it fails")),
    members: () => undefined,
  })
  pools.apply(new Map([["db", spec]]))
  const built = options === undefined ? route("db") : route("db", options)
  const gate: TestGateway = gateway(() => (otherwise === undefined ? built : built.or(otherwise)), {}, { pools })
  return {
    gate,
    pools,
    changes,
    left,
    [Symbol.dispose]() {
      gate[Symbol.dispose]()
      pools.close()
    },
  }
}

const membersOf = ({ pools }: Pooled) => [...pools.find("db")!.members.values()]

async function ask(port: number): Promise<string> {
  using client = await connect(port, { first: "?" })
  client.end()
  return await client.text()
}

test("a pool's targets take turns, and the event names the pool and the target", async () => {
  using first = upstream(names("a"))
  using second = upstream(names("b"))
  using served = pooled(poolSpec([first.url, second.url]))
  const said: string[] = []
  for (let i = 0; i < 6; i++) said.push(await ask(served.gate.port))
  expect(said.join("")).toBe("ababab")
  const events = await served.gate.ended(6)
  expect(events[0]!.upstream).toEqual({
    pool: "db",
    target: first.url,
    address: first.url.slice(6),
    attempts: 1,
    error: null,
  })
  expect(membersOf(served).map(({ active }) => active)).toEqual([0, 0])
})

test("a target that refuses gives way to the next, is taken out after three failures, and nobody notices", async () => {
  using good = upstream(names("good"))
  const dead = refusing()
  using served = pooled(poolSpec([dead, good.url]))
  for (let i = 0; i < 10; i++) expect(await ask(served.gate.port)).toBe("good")
  expect(served.changes).toEqual([`ejected ${dead}`])
  const attempts = (await served.gate.ended(10)).map(({ upstream: found }) => found!.attempts)
  expect(attempts.filter((count) => count === 2)).toHaveLength(3)
  expect(attempts.slice(-3)).toEqual([1, 1, 1])
})

test("a target that resets before its first byte counts as failing, also when it has been sent something", async () => {
  using bad = upstream(async (wire) => {
    await wire.atLeast(1)
    await resetDelivered(wire)
  })
  using good = upstream(names("good"))
  using served = pooled(poolSpec([bad.url, good.url]))
  let resets = 0
  for (let i = 0; i < 20; i++) {
    const said = await ask(served.gate.port).catch(() => "reset")
    if (said !== "good") resets++
  }
  // What was written to an upstream is never sent again to another one, so these fail; three, then it is out.
  expect(resets).toBe(3)
  expect(served.changes).toEqual([`ejected ${bad.url}`])
})

test("a target whose connections answer is never taken out for those that end without a byte", async () => {
  using quiet = upstream((wire) => wire.end())
  using served = pooled(poolSpec([quiet.url, refusing()], { passive: undefined, retries: 0 }))
  for (let i = 0; i < 10; i++) await ask(served.gate.port)
  expect(served.changes).toEqual([])
})

test("a target that accepts and closes at once is taken out like one that refuses", async () => {
  using closes = upstream((wire) => wire.end())
  using good = upstream((wire) => wire.write("good"))
  using served = pooled(poolSpec([closes.url, good.url]))
  for (let i = 0; i < 20; i++) {
    // Whoever says nothing goes on to another target.
    using client = await connect(served.gate.port)
    expect(new TextDecoder().decode(await client.atLeast(4))).toBe("good")
  }
  expect(served.changes).toEqual([`ejected ${closes.url}`])
})

test("all targets down is no-target, at once, and nothing is dialled", async () => {
  using spare = upstream(names("spare"))
  using served = pooled(poolSpec([spare.url]))
  const [member] = membersOf(served)
  served.pools.find("db")!.checked(member!, "refused")
  expect(await ask(served.gate.port)).toBe("")
  const [event] = await served.gate.ended(1)
  expect(event!.close).toEqual({ reason: "no-target", by: "gateway" })
  expect(event!.upstream).toEqual({
    pool: "db",
    target: null,
    address: null,
    attempts: 0,
    error: "pool db: no target can be used: 1 unhealthy (1 in all)",
  })
  expect(spare.accepted).toEqual([])
})

test("what stands behind or() is decided when no target can be used", async () => {
  using served = pooled(
    poolSpec([targetSpec("tcp://10.0.0.1:1", { weight: 0 })]),
    undefined,
    respond("later\n") as never,
  )
  expect(await ask(served.gate.port)).toBe("later\n")
  expect((await served.gate.ended(1))[0]!.close.reason).toBe("answered")
})

test("attempts that all fail are dial-failed", async () => {
  using served = pooled(poolSpec([refusing(), refusing()]))
  expect(await ask(served.gate.port)).toBe("")
  const [event] = await served.gate.ended(1)
  expect(event!.close.reason).toBe("dial-failed")
  expect(event!.upstream).toMatchObject({ attempts: 2, error: "ECONNREFUSED" })
})

test("a policy that names a pool that is not there fails, with what it may have meant", async () => {
  using served = pooled(poolSpec([refusing()]))
  using gate = gateway(() => route("bd"), {}, { pools: served.pools })
  expect(await ask(gate.port)).toBe("")
  expect((await gate.ended(1))[0]!.close.reason).toBe("policy-failed")
  expect(String(gate.failures[0]!.error)).toBe('DecisionInvalid: there is no pool "bd"; did you mean "db"?')
  using nested = gateway(() => route("db").or(route("other")), {}, { pools: served.pools })
  expect(await ask(nested.port)).toBe("")
  expect(String(nested.failures[0]!.error)).toBe(
    'DecisionInvalid: there is no pool "other"; did you mean "tcp://other:PORT"?',
  )
})

describe("a target that fails its checks", () => {
  test("loses those who have heard nothing and said nothing to others, and nobody notices", async () => {
    using stalled = upstream(stalls)
    using good = upstream(greets)
    using served = pooled(poolSpec([targetSpec(stalled.url), targetSpec(good.url, { priority: 1 })]))
    using client = await connect(served.gate.port)
    await stalled.connection()
    served.pools.find("db")!.checked(membersOf(served)[0]!, "no answer")
    expect(await client.text()).toBe("hello")
    client.end()
    const [event] = await served.gate.ended(1)
    expect(event!.upstream).toMatchObject({ target: good.url, attempts: 2, error: null })
    expect(served.left).toEqual([{ moved: 1, closed: 0, waiting: 0 }])
    expect(membersOf(served).map(({ active }) => active)).toEqual([0, 0])
  })

  test("keeps those who have said something to it", async () => {
    using slow = upstream(async (wire) => {
      await wire.atLeast(2)
      await wire.write("late")
      wire.end()
    })
    using good = upstream(greets)
    using served = pooled(poolSpec([targetSpec(slow.url), targetSpec(good.url, { priority: 1 })]))
    using client = await connect(served.gate.port, { first: "?" })
    await (await slow.connection()).atLeast(1)
    served.pools.find("db")!.checked(membersOf(served)[0]!, "no answer")
    await client.write("?")
    expect(await client.text()).toBe("late")
    expect(served.left).toEqual([{ moved: 0, closed: 0, waiting: 0 }])
  })

  test("has these closed as well where the pool says so, and the event says why", async () => {
    using slow = upstream(stalls)
    using good = upstream(greets)
    const targets = [targetSpec(slow.url), targetSpec(good.url, { priority: 1 })]
    using served = pooled(poolSpec(targets, { closeOnUnhealthy: true }))
    using spoken = await connect(served.gate.port, { first: "?" })
    using silent = await connect(served.gate.port)
    await slow.connection(1)
    await eventually(() => [...served.gate.path.live].some(({ upstream: to }) => to?.written === 1))
    served.pools.find("db")!.checked(membersOf(served)[0]!, "no answer")
    expect(await silent.text()).toBe("hello")
    expect(await spoken.stops()).toBe("ECONNRESET")
    const [event] = await served.gate.ended(1)
    expect(event!.close).toEqual({ reason: "upstream-closed", by: "gateway" })
    expect(event!.upstream).toMatchObject({ target: slow.url, error: "it fails" })
    expect(served.left).toEqual([{ moved: 1, closed: 1, waiting: 0 }])
  })

  test("is not waited for by those who only try to reach it", async () => {
    using hole = blackHole()
    using good = upstream(greets)
    const targets = [targetSpec(hole.url), targetSpec(good.url, { priority: 1 })]
    using served = pooled(poolSpec(targets, { connectTimeout: 3_600_000 }))
    using first = await connect(served.gate.port)
    using second = await connect(served.gate.port, { first: "?" })
    await eventually(() => membersOf(served)[0]!.active === 2)
    served.pools.find("db")!.checked(membersOf(served)[0]!, "no answer")
    expect(await first.text()).toBe("hello")
    expect(await second.text()).toBe("hello")
    expect(hole.attempts().size).toBe(0)
    // Its checks have said it already.
    expect(membersOf(served)[0]).toMatchObject({ active: 0, failures: 0, ejectedUntil: 0 })
  })

  test("keeps those for whom there is no other, or no retry to spare", async () => {
    using stalled = upstream(async (wire) => {
      await wire.until(() => wire.ended || wire.closed)
      wire.end()
    })
    using good = upstream(greets)
    using alone = pooled(poolSpec([stalled.url]))
    using poor = pooled(poolSpec([targetSpec(stalled.url), targetSpec(good.url, { priority: 1 })], { retryBudget: 0 }))
    for (const served of [alone, poor]) {
      using client = await connect(served.gate.port)
      await eventually(() => membersOf(served)[0]!.active === 1)
      await eventually(() => stalled.accepted.some((wire) => !wire.closed))
      served.pools.find("db")!.checked(membersOf(served)[0]!, "no answer")
      expect(served.left).toEqual([{ moved: 0, closed: 0, waiting: 0 }])
      client.end()
      expect((await served.gate.ended(1))[0]!.close.reason).toBe("client-closed")
    }
  })
})

test("who tries to reach a target goes elsewhere as soon as others have found that it cannot be had", async () => {
  using hole = blackHole()
  using good = upstream(answers(() => "ok"))
  const targets = [targetSpec(hole.url), targetSpec(good.url, { priority: 1 })]
  using served = pooled(poolSpec(targets, { connectTimeout: 3_600_000 }))
  const pool = served.pools.find("db")!
  using client = await connect(served.gate.port, { first: "?" })
  client.end()
  await eventually(() => membersOf(served)[0]!.active === 1)
  for (let i = 0; i < 3; i++) {
    const { lease, next } = wayThrough(pool)
    expect(next()).toBe(hole.url)
    lease.failed()
    lease.release()
  }
  expect(await client.text()).toBe("ok")
  expect(served.left).toEqual([{ moved: 1, closed: 0, waiting: 0 }])
  expect(served.changes).toEqual([`ejected ${hole.url}`])
})

describe("places", () => {
  test("connections wait for one, in order, and are served as soon as there is one", async () => {
    using only = upstream(echo)
    using served = pooled(poolSpec([targetSpec(only.url, { maxConnections: 1 })]))
    const { gate } = served
    using first = await connect(gate.port, { first: "1" })
    expect(await first.atLeast(1)).toEqual(new Uint8Array([0x31]))
    using second = await connect(gate.port, { first: "2" })
    await eventually(() => served.pools.find("db")!.queued === 1)
    using third = await connect(gate.port, { first: "3" })
    await eventually(() => served.pools.find("db")!.queued === 2)
    expect(only.accepted).toHaveLength(1)
    first.end()
    expect(await second.atLeast(1)).toEqual(new Uint8Array([0x32]))
    expect(served.pools.find("db")!.queued).toBe(1)
    second.end()
    expect(await third.atLeast(1)).toEqual(new Uint8Array([0x33]))
    third.end()
    const events = await gate.ended(3)
    expect(events.map(({ close }) => close.reason)).toEqual(["client-closed", "client-closed", "client-closed"])
  })

  test("who waits too long, and who finds the queue full, gets no target; who leaves is forgotten", async () => {
    using only = upstream(echo)
    const spec = poolSpec([targetSpec(only.url, { maxConnections: 1 })], { queue: { size: 1, timeout: 300 } })
    using served = pooled(spec)
    const { gate } = served
    using first = await connect(gate.port, { first: "1" })
    await first.atLeast(1)
    using waiting = await connect(gate.port)
    await eventually(() => served.pools.find("db")!.queued === 1)
    expect(await ask(gate.port)).toBe("")
    expect(await waiting.text()).toBe("")
    waiting.end()
    const errors = (await gate.ended(2)).map(({ close, upstream: found }) => [close.reason, found!.error])
    expect(errors).toEqual([
      ["no-target", "pool db: no target can be used: its queue is full (1 in all)"],
      ["no-target", "pool db: all targets have as many connections as they may, for 300 ms"],
    ])
    expect(served.pools.find("db")!.queued).toBe(0)
    using leaving = await connect(gate.port)
    await eventually(() => served.pools.find("db")!.queued === 1)
    leaving.reset()
    await eventually(() => served.pools.find("db")!.queued === 0)
    first.end()
    await gate.ended(4)
    expect(membersOf(served)[0]!.active).toBe(0)
  })

  test("are given back after every ending", async () => {
    using good = upstream(answers(() => "ok"))
    using resets = upstream((wire) => wire.reset())
    using silent = upstream(stalls)
    using hole = blackHole()
    const targets = [good.url, resets.url, silent.url, hole.url, refusing()]
    using served = pooled(poolSpec(targets, { passive: undefined, retryBudget: 1 }), {
      connectTimeout: 300,
      idleTimeout: 400,
    })
    const clients = Array.from({ length: 40 }, async (_, i) => {
      using client = await connect(served.gate.port, { first: "?" })
      if (i % 4 === 0) return client.reset()
      if (i % 4 === 1) client.end()
      await client.text().catch(() => "reset")
      return undefined
    })
    await Promise.all(clients)
    await served.gate.ended(40)
    expect(membersOf(served).map(({ active }) => active)).toEqual([0, 0, 0, 0, 0])
    expect(served.gate.internalErrors).toEqual([])
  })
})

test("the options of the pool hold, and those of the route go before them", async () => {
  using hole = blackHole()
  using good = upstream(stalls)
  using slow = pooled(poolSpec([hole.url, good.url], { connectTimeout: 300, idleTimeout: 300, retryBudget: 1 }))
  expect(await ask(slow.gate.port)).toBe("")
  const [event] = await slow.gate.ended(1)
  expect(event!.upstream!.attempts).toBe(2)
  expect(event!.close.reason).toBe("idle-timeout")
  using quick = pooled(poolSpec([good.url], { idleTimeout: 60_000 }), { idleTimeout: 300 })
  expect(await ask(quick.gate.port)).toBe("")
  expect((await quick.gate.ended(1))[0]!.close.reason).toBe("idle-timeout")
})

test("a key that the policy gives leads to the same target each time, whoever asks", async () => {
  const served = ["a", "b", "c"].map((name) => upstream(names(name)))
  const pools = new Pools(NO_EXITS)
  pools.apply(
    new Map([
      [
        "db",
        poolSpec(
          served.map(({ url }) => url),
          { balance: "hash" },
        ),
      ],
    ]),
  )
  let key = ""
  using gate = gateway(() => route("db", { key }), {}, { pools })
  const targets = new Set<string>()
  for (let i = 0; i < 10; i++) {
    key = `user-${i}`
    const first = await ask(gate.port)
    expect(await ask(gate.port)).toBe(first)
    targets.add(first)
  }
  expect(targets.size).toBeGreaterThan(1)
  for (const each of served) each[Symbol.dispose]()
  pools.close()
})

test("a flood of failures makes no more retries than the budget allows", async () => {
  using served = pooled(poolSpec([refusing(), refusing(), refusing()], { passive: { ...PASSIVE, failures: 1000 } }))
  for (let i = 0; i < 100; i += 10) await Promise.all(Array.from({ length: 10 }, () => ask(served.gate.port)))
  const events = await served.gate.ended(100)
  const retries = events.reduce((sum, { upstream: found }) => sum + found!.attempts - 1, 0)
  expect(retries).toBe(served.pools.find("db")!.retries)
  // Of the 200 that the targets would allow: 10 to start with, 20 earned, and 10 for each second that this took.
  expect(retries).toBeLessThan(150)
})

const limited = (url: string, options: Partial<PoolSpec>) => poolSpec([url], { name: crypto.randomUUID(), ...options })

function gateOf(spec: PoolSpec, answer: Decision) {
  const pools = new Pools(NO_EXITS)
  pools.apply(new Map([["db", spec]]))
  return gateway(() => answer, {}, { pools })
}

describe("a pool's limits", () => {
  test("of connections at one time are given back at their end", async () => {
    using up = upstream(echo)
    using gate = gateOf(limited(up.url, { concurrencyLimit: { max: 1, key: "all" } }), route("db"))
    using first = await connect(gate.port, { first: "1" })
    await first.atLeast(1)
    expect(await ask(gate.port)).toBe("")
    const [event] = await gate.ended(1)
    expect(event!.close).toEqual({ reason: "limit-reached", by: "gateway" })
    expect(event!.policy!.reason).toEndWith("its concurrencyLimit is reached")
    expect(up.accepted).toHaveLength(1)
    first.end()
    await gate.ended(2)
    expect(await ask(gate.port)).toBe("?")
  })

  test("of connections that may come lead to what stands behind or()", async () => {
    using up = upstream(names("ok"))
    const rateLimit = { limit: 2, per: 3_600_000, burst: 2, key: { ipv4: 32, ipv6: 64 } }
    using gate = gateOf(limited(up.url, { rateLimit }), route("db").or(respond("busy")))
    expect([await ask(gate.port), await ask(gate.port), await ask(gate.port)]).toEqual(["ok", "ok", "busy"])
  })

  test("count a connection that goes on to another pool no more for the first", async () => {
    using up = upstream(echo)
    const first = limited(refusing(), { concurrencyLimit: { max: 1, key: "all" } })
    const pools = new Pools(NO_EXITS)
    pools.apply(new Map([["first", first]]))
    using gate = gateway(() => route("first").or(route(up.url)), {}, { pools })
    using one = await connect(gate.port, { first: "1" })
    await one.atLeast(1)
    using two = await connect(gate.port, { first: "2" })
    await two.atLeast(1)
    one.end()
    two.end()
    const events = await gate.ended(2)
    expect(events.map(({ close }) => close.reason)).toEqual(["client-closed", "client-closed"])
  })
})
