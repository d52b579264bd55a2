import { describe, expect, test } from "bun:test"
import { Pools } from "../../src/upstream/pools.ts"
import type { Member } from "../../src/upstream/member.ts"
import type { Pool } from "../../src/upstream/pool.ts"
import { eventually } from "../helper/eventually.ts"
import { NO_EXITS, PASSIVE, poolSpec, targetSpec, testPool, wayThrough } from "../helper/pools.ts"

const [A, B, C] = ["tcp://10.0.0.1:5432", "tcp://10.0.0.2:5432", "tcp://10.0.0.3:5432"] as const

/** So many connections to this target fail, whoever is picked. */
function fail(pool: Pool, url: string, times: number): void {
  for (let made = 0; made < times;) {
    const way = wayThrough(pool)
    if (way.next() === url) {
      way.lease.failed()
      made++
    }
    way.lease.release()
  }
}

function picks(pool: Pool, count: number): (string | undefined)[] {
  return Array.from({ length: count }, () => {
    const way = wayThrough(pool)
    const found = way.next()
    way.lease.release()
    return found
  })
}

describe("a way through a pool", () => {
  test("takes a place at each target in turn, and gives it back", () => {
    const { pool, members } = testPool(poolSpec(3))
    const way = wayThrough(pool)
    expect(way.next()).toBe(A)
    expect(members.map(({ active }) => active)).toEqual([1, 0, 0])
    way.lease.failed()
    expect(way.next()).toBe(B)
    expect(members.map(({ active }) => active)).toEqual([0, 1, 0])
    way.lease.connected(3)
    way.lease.spoke()
    way.lease.release()
    way.lease.release()
    expect(members.map(({ active }) => active)).toEqual([0, 0, 0])
    expect(members.map(({ attempts, failures }) => [attempts, failures])).toEqual([
      [1, 1],
      [1, 0],
      [0, 0],
    ])
  })

  test("tries each target once, and no more than its retries", () => {
    const { pool } = testPool(poolSpec(3, { passive: undefined }))
    const all = wayThrough(pool)
    expect([all.next(), all.next(), all.next(), all.next()].sort()).toEqual([A, B, C, undefined])
    const one = wayThrough(pool, { retries: 1 })
    expect([one.next(), one.next(), one.next()].filter((found) => found !== undefined)).toHaveLength(2)
    const ofPool = wayThrough(testPool(poolSpec(3, { retries: 0 })).pool)
    expect([ofPool.next(), ofPool.next()]).toEqual([A, undefined])
  })

  test("uses a backup when no other can be used, or for a retry", () => {
    const backup = targetSpec(C, { priority: 1 })
    const { pool, members } = testPool(poolSpec([A, B, backup]))
    expect(new Set(picks(pool, 20))).toEqual(new Set<string | undefined>([A, B]))
    const way = wayThrough(pool)
    expect([way.next(), way.next(), way.next(), way.next()].slice(2)).toEqual([C, undefined])
    way.lease.release()
    pool.checked(members[0]!, "refused")
    pool.checked(members[1]!, "refused")
    expect(new Set(picks(pool, 5))).toEqual(new Set([C]))
    pool.checked(members[0]!, undefined)
    expect(new Set(picks(pool, 5))).toEqual(new Set([A]))
  })

  test("never leads to a target of weight 0", () => {
    const { pool } = testPool(poolSpec([targetSpec(A, { weight: 0 }), B]))
    expect(new Set(picks(pool, 10))).toEqual(new Set([B]))
    const way = wayThrough(testPool(poolSpec([targetSpec(A, { weight: 0 })])).pool)
    expect(way.next()).toBeUndefined()
    expect(way.lease.problem).toBe("pool db: no target can be used: 1 of weight 0 (1 in all)")
  })

  test("follows the key of the connection where the pool balances by hash", () => {
    const { pool, members } = testPool(poolSpec(3, { balance: "hash" }))
    const of = (hash: number) => {
      const way = wayThrough(pool, { hash })
      const found = [way.next(), way.next()]
      way.lease.release()
      return found
    }
    for (const hash of [1, 77, 4_000_000_000]) {
      const [first, second] = of(hash)
      expect(of(hash)).toEqual([first, second])
      const member = members.find(({ id }) => id === first)!
      pool.checked(member, "down")
      expect(of(hash)[0]).not.toBe(first!)
      pool.checked(member, undefined)
      expect(of(hash)[0]).toBe(first!)
    }
  })
})

describe("health", () => {
  test("what fails its checks gets nothing, and all down is no target at once", () => {
    const { pool, members, changes, left } = testPool(poolSpec(2))
    pool.checked(members[0]!, "refused")
    pool.checked(members[0]!, "refused again")
    expect(new Set(picks(pool, 10))).toEqual(new Set([B]))
    pool.checked(members[1]!, "refused")
    const way = wayThrough(pool)
    expect(way.next()).toBeUndefined()
    expect(way.lease.problem).toBe("pool db: no target can be used: 2 unhealthy (2 in all)")
    pool.checked(members[1]!, undefined)
    expect(way.next()).toBe(B)
    expect(changes).toEqual([`down ${A}`, `down ${B}`, `up ${B}`])
    expect(left).toEqual([
      ["unheard", members[0]!],
      ["unheard", members[1]!],
    ])
  })

  test("connections of what fails are closed where the pool says so", () => {
    const { pool, members, left } = testPool(poolSpec(2, { closeOnUnhealthy: true }))
    pool.checked(members[1]!, "refused")
    expect(left).toEqual([["all", members[1]!]])
  })

  test("below the panic threshold health is not asked for", () => {
    const { pool, members } = testPool(poolSpec(4, { panicThreshold: 0.5 }))
    pool.checked(members[0]!, "refused")
    pool.checked(members[1]!, "refused")
    expect(new Set(picks(pool, 20)).size).toBe(2)
    pool.checked(members[2]!, "refused")
    expect(new Set(picks(pool, 20)).size).toBe(4)
  })

  test("failures in a row take a target out, for longer each time; it comes back by itself", async () => {
    const { pool, members, changes } = testPool(poolSpec(2, { passive: { ...PASSIVE, ejectFor: 20 } }))
    fail(pool, A, 2)
    expect(members[0]!.ejectedUntil).toBe(0)
    const before = performance.now()
    fail(pool, A, 1)
    const first = members[0]!.ejectedUntil - before
    expect(new Set(picks(pool, 10))).toEqual(new Set([B]))
    await eventually(() => members[0]!.ejectedUntil === 0)
    expect(changes).toEqual([`ejected ${A}`, `returned ${A}`])
    // On probation: one failure is enough, and it is out for twice as long.
    const again = performance.now()
    fail(pool, A, 1)
    const second = members[0]!.ejectedUntil - again
    expect(first).toBeGreaterThanOrEqual(20)
    expect(second).toBeGreaterThanOrEqual(40)
  })

  test("a good connection starts the count anew", () => {
    const { pool, members } = testPool(poolSpec(2))
    for (let i = 0; i < 5; i++) {
      fail(pool, A, 2)
      for (let j = 0; j < 2; j++) {
        const way = wayThrough(pool)
        way.next()
        way.lease.spoke()
        way.lease.release()
      }
    }
    expect(members[0]!.ejectedUntil).toBe(0)
  })

  test("at most half of a pool is out by its failures at one time", () => {
    const { pool, members } = testPool(poolSpec(5, { retryBudget: 1 }))
    for (const { id } of members.slice(0, 2)) fail(pool, id, 3)
    expect(members.filter(({ ejectedUntil }) => ejectedUntil > 0)).toHaveLength(2)
    fail(pool, members[2]!.id, 10)
    expect(members.filter(({ ejectedUntil }) => ejectedUntil > 0)).toHaveLength(2)
    const alone = testPool(poolSpec(1))
    fail(alone.pool, A, 10)
    expect(alone.members[0]!.ejectedUntil).toBe(0)
  })

  test("what fails its checks is out in any case, and leaves room for others to be out by their failures", () => {
    const { pool, members, changes } = testPool(poolSpec(4, { retryBudget: 1 }))
    const [a, b, c, d] = members as [Member, Member, Member, Member]
    for (const { id } of [a, b]) fail(pool, id, 3)
    fail(pool, c.id, 3)
    expect(c.ejectedUntil).toBe(0)
    pool.checked(a, "refused")
    fail(pool, c.id, 1)
    expect(c.ejectedUntil).toBeGreaterThan(0)
    expect(new Set(picks(pool, 5))).toEqual(new Set([d.id]))
    // Three of four would be out by their failures: whose time is over first is not.
    pool.checked(a, undefined)
    expect(changes).toEqual([
      `ejected ${a.id}`,
      `ejected ${b.id}`,
      `down ${a.id}`,
      `ejected ${c.id}`,
      `returned ${a.id}`,
      `up ${a.id}`,
    ])
    expect(new Set(picks(pool, 10))).toEqual(new Set([a.id, d.id]))
  })

  test("where failures do not count any more, or too few targets are left, nobody is out by them", () => {
    const { pool, members } = testPool(poolSpec(4, { retryBudget: 1 }))
    for (const { id } of members.slice(0, 2)) fail(pool, id, 3)
    pool.apply(poolSpec(members.slice(0, 2).map(({ id }) => id)))
    expect(members.slice(0, 2).filter(({ ejectedUntil }) => ejectedUntil > 0)).toHaveLength(1)
    pool.apply(poolSpec(2, { passive: undefined }))
    expect(new Set(picks(pool, 10)).size).toBe(2)
  })

  test("what is down by its checks is not taken out by connections that began before", () => {
    const { pool, members, changes } = testPool(poolSpec(2))
    const early = Array.from({ length: 6 }, () => wayThrough(pool)).filter((way) => way.next() === A)
    pool.checked(members[0]!, "refused")
    for (const { lease } of early) lease.failed()
    pool.checked(members[0]!, undefined)
    expect(changes).toEqual([`down ${A}`, `up ${A}`])
    expect(members[0]).toMatchObject({ failures: 3, ejectedUntil: 0 })
  })

  test("who tries to reach a target that is taken out is told, after whoever has reported it", async () => {
    const { pool, members, left } = testPool(poolSpec(2))
    fail(pool, A, 3)
    expect(left).toEqual([])
    await eventually(() => left.length > 0)
    expect(left).toEqual([["attempts", members[0]!]])
  })

  test("all targets of a priority may be out while one of another can be used", () => {
    const { pool, members } = testPool(poolSpec([A, B, targetSpec(C, { priority: 1 })], { retryBudget: 1 }))
    fail(pool, A, 3)
    fail(pool, B, 3)
    expect(members.map(({ ejectedUntil }) => ejectedUntil > 0)).toEqual([true, true, false])
    expect(new Set(picks(pool, 5))).toEqual(new Set([C]))
    // Nobody is left to do its work: half of the pool is out at most, and those of most use come back.
    pool.checked(members[2]!, "refused")
    expect(members.filter(({ ejectedUntil }) => ejectedUntil > 0)).toHaveLength(1)
    expect(new Set(picks(pool, 5)).size).toBe(1)
  })

  test("a target that comes back gets its share little by little", () => {
    const { pool, members } = testPool(poolSpec(2, { slowStart: 60_000 }))
    pool.checked(members[0]!, "refused")
    pool.checked(members[0]!, undefined)
    const shares = picks(pool, 110).filter((url) => url === A).length
    expect(shares).toBe(10)
  })
})

describe("a circuit breaker", () => {
  const breaker = { failures: 0.5, attempts: 4, window: 10_000, openFor: 20 }

  test("opens on the share of failures, lets one connection try, and closes when that is good", async () => {
    const { pool, members, changes } = testPool(poolSpec([A], { passive: undefined, breaker }))
    fail(pool, A, 4)
    expect(changes).toEqual([`breaker-open ${A}`])
    expect(wayThrough(pool).next()).toBeUndefined()
    await eventually(() => wayThrough(pool).lease.more)
    const trial = wayThrough(pool)
    expect(trial.next()).toBe(A)
    // One tries; the others wait for what it says.
    const other = wayThrough(pool)
    expect(other.next()).toBe("wait")
    trial.lease.failed()
    expect(changes.at(-1)).toBe(`breaker-open ${A}`)
    expect(other.granted).toEqual([undefined])
    await eventually(() => wayThrough(pool).lease.more)
    const second = wayThrough(pool)
    expect(second.next()).toBe(A)
    second.lease.spoke()
    expect(changes.at(-1)).toBe(`breaker-closed ${A}`)
    expect(members[0]!.breaker!.openUntil).toBe(0)
    expect(picks(pool, 3)).toEqual([A, A, A])
  })

  test("lets those who wait go on as soon as the one that tries has connected", async () => {
    const { pool } = testPool(poolSpec([A], { passive: undefined, breaker }))
    fail(pool, A, 4)
    await eventually(() => wayThrough(pool).lease.more)
    const [trial, other] = [wayThrough(pool), wayThrough(pool)]
    expect([trial.next(), other.next()]).toEqual([A, "wait"])
    trial.lease.connected(1)
    expect(other.granted).toEqual([A])
  })

  test("stays closed below the number of attempts, and below the share", () => {
    const { pool, changes } = testPool(poolSpec([A], { passive: undefined, breaker }))
    fail(pool, A, 3)
    for (let i = 0; i < 20; i++) {
      const way = wayThrough(pool)
      way.next()
      way.lease.spoke()
      way.lease.release()
    }
    fail(pool, A, 5)
    expect(changes).toEqual([])
  })
})

const full = (size: number) =>
  testPool(
    poolSpec([targetSpec(A, { maxConnections: 1 }), targetSpec(B, { maxConnections: 1 })], {
      queue: { size, timeout: 5000 },
    }),
  )

describe("a full pool", () => {
  test("lets connections wait, first come first served", () => {
    const { pool } = full(2)
    const [first, second, third, fourth, fifth] = Array.from({ length: 5 }, () => wayThrough(pool))
    expect([first!.next(), second!.next()]).toEqual([A, B])
    expect([third!.next(), fourth!.next()]).toEqual(["wait", "wait"])
    expect(fifth!.next()).toBeUndefined()
    expect(fifth!.lease.problem).toStartWith("pool db: no target can be used: its queue is full")
    expect(pool.queued).toBe(2)
    second!.lease.release()
    expect(third!.granted).toEqual([B])
    expect(fourth!.granted).toEqual([])
    // Who leaves is not asked any more.
    fourth!.lease.release()
    first!.lease.release()
    expect(fourth!.granted).toEqual([])
    expect(pool.queued).toBe(0)
  })

  test("tells those who wait when nobody can be used any more", () => {
    const { pool, members } = full(5)
    wayThrough(pool).next()
    wayThrough(pool).next()
    const waiting = wayThrough(pool)
    expect(waiting.next()).toBe("wait")
    pool.checked(members[0]!, "refused")
    expect(waiting.granted).toEqual([])
    pool.checked(members[1]!, "refused")
    expect(waiting.granted).toEqual([undefined])
  })

  test("gives a place that was granted and failed to the next who waits", () => {
    const { pool } = full(5)
    const [first, , third, fourth] = Array.from({ length: 4 }, () => wayThrough(pool))
    first!.next()
    wayThrough(pool).next()
    expect([third!.next(), fourth!.next()]).toEqual(["wait", "wait"])
    first!.lease.release()
    expect(third!.granted).toEqual([A])
    third!.lease.failed()
    // It waits for the other target; the place is the next one's.
    expect(third!.next()).toBe("wait")
    expect(fourth!.granted).toEqual([A])
  })
})

test("who waits for the one target that it has not tried does not hold up those behind it", () => {
  const { pool } = testPool(
    poolSpec([targetSpec(A, { maxConnections: 1 }), targetSpec(B, { maxConnections: 1 })], { passive: undefined }),
  )
  const [first, second, third, fourth] = Array.from({ length: 4 }, () => wayThrough(pool))
  expect([first!.next(), second!.next(), third!.next()]).toEqual([A, B, "wait"])
  first!.lease.failed()
  expect(first!.next()).toBe("wait")
  expect(third!.granted).toEqual([A])
  expect(fourth!.next()).toBe("wait")
  third!.lease.release()
  expect([first!.granted, fourth!.granted]).toEqual([[], [A]])
  second!.lease.release()
  expect(first!.granted).toEqual([B])
})

describe("retries", () => {
  test("stay within their share of the connections, with some always allowed", () => {
    const { pool } = testPool(poolSpec(2, { passive: undefined, retryBudget: 0.2 }))
    let retried = 0
    for (let i = 0; i < 1000; i++) {
      const way = wayThrough(pool)
      way.next()
      way.lease.failed()
      if (way.next() !== undefined) retried++
      way.lease.failed()
      way.lease.release()
    }
    expect(retried).toBeGreaterThanOrEqual(200)
    // 10 to start with, and 10 for each second that this took.
    expect(retried).toBeLessThan(300)
    expect(pool.retries).toBe(retried)
  })

  test("a share of 0 allows none", () => {
    const { pool } = testPool(poolSpec(2, { retryBudget: 0 }))
    const way = wayThrough(pool)
    way.next()
    way.lease.failed()
    expect(way.lease.more).toBe(false)
    expect(way.next()).toBeUndefined()
  })
})

describe("other options", () => {
  test("targets that stay keep what is known of them; one that goes drains", () => {
    const { pool, members } = testPool(poolSpec([A, B]))
    const way = wayThrough(pool)
    expect(way.next()).toBe(A)
    pool.checked(members[1]!, "refused")
    pool.apply(poolSpec([B, C], { health: undefined }))
    const [b, c] = [...pool.members.values()]
    expect([b, c!.id]).toEqual([members[1], C])
    expect(b!.healthy).toBe(true)
    expect(members[0]!.removed).toBe(true)
    expect(members[0]!.active).toBe(1)
    expect(new Set(picks(pool, 10))).toEqual(new Set<string | undefined>([B, C]))
    way.lease.spoke()
    way.lease.release()
    expect(members[0]!.active).toBe(0)
  })

  test("a target that goes and comes back is still known", () => {
    const limited = targetSpec(A, { maxConnections: 1 })
    const { pool, members } = testPool(poolSpec([limited, B]))
    const way = wayThrough(pool)
    expect(way.next()).toBe(A)
    pool.apply(poolSpec([B]))
    pool.apply(poolSpec([limited, B]))
    expect(pool.members.get(A)).toBe(members[0])
    expect(members[0]!.removed).toBe(false)
    expect(new Set(picks(pool, 5))).toEqual(new Set([B]))
    way.lease.release()
    expect(new Set(picks(pool, 5)).size).toBe(2)
    fail(pool, A, 3)
    pool.apply(poolSpec([B]))
    pool.apply(poolSpec([limited, B]))
    expect(pool.members.get(A)).toBe(members[0])
    expect(members[0]!.ejectedUntil).toBeGreaterThan(0)
  })

  test("with checks that go on, a target stays unhealthy over a reload", () => {
    const { pool, members } = testPool(poolSpec([A, B]))
    pool.checked(members[0]!, "refused")
    pool.apply(poolSpec([A, B, C]))
    expect(new Set(picks(pool, 10))).toEqual(new Set<string | undefined>([B, C]))
    // Nobody checks it any more.
    pool.apply(poolSpec([A, B, C], { health: undefined }))
    expect(new Set(picks(pool, 10)).size).toBe(3)
  })

  test("a target that follows the DNS has the members that the answers have", () => {
    const url = "dns://db.internal:5432"
    const source = { kind: "dns", host: "db.internal", port: 5432, tls: false } as const
    const { pool } = testPool(poolSpec([{ ...targetSpec(A), url, name: "db", source }]))
    const early = wayThrough(pool)
    expect(early.next()).toBe("wait")
    const facts = (target: string) => {
      const { source: found } = targetSpec(target)
      if (found.kind !== "target") throw new Error("no target")
      return {
        id: `${url} ${target}`,
        name: `db/${target}`,
        target: found.target,
        weight: 1,
        priority: 0,
        maxConnections: 5,
      }
    }
    pool.follow(url, [facts(A), facts(B)])
    expect(early.granted).toEqual([A])
    early.lease.release()
    expect(new Set(picks(pool, 10))).toEqual(new Set<string | undefined>([A, B]))
    const kept = pool.members.get(`${url} ${B}`)!
    pool.follow(url, [facts(B)])
    expect(new Set(picks(pool, 10))).toEqual(new Set([B]))
    expect(pool.members.get(`${url} ${B}`)).toBe(kept)
    pool.follow(url, [])
    expect(wayThrough(pool).next()).toBeUndefined()
  })

  test("who waits for a first answer that does not come is told", () => {
    const source = { kind: "dns", host: "db.internal", port: 5432, tls: false } as const
    const url = "dns://db.internal:5432"
    const { pool } = testPool(poolSpec([{ ...targetSpec(A), url, source }]))
    const way = wayThrough(pool)
    expect(way.next()).toBe("wait")
    pool.unanswered(url)
    expect(way.granted).toEqual([undefined])
    expect(way.lease.problem).toBe("pool db: no target can be used: it has no targets now (0 in all)")
  })

  test("nobody waits for the DNS where another target can be asked, even in vain", () => {
    const source = { kind: "dns", host: "db.internal", port: 5432, tls: false } as const
    const dns = { ...targetSpec(A), url: "dns://db.internal:5432", source }
    const { pool } = testPool(poolSpec([dns, { ...targetSpec(B), priority: 1 }]))
    const way = wayThrough(pool)
    expect([way.next(), way.next()]).toEqual([B, undefined])
    // That one takes nobody.
    pool.apply(poolSpec([dns, { ...targetSpec(B), weight: 0 }]))
    expect(wayThrough(pool).next()).toBe("wait")
  })

  test("what is wrong with the DNS is said where there is no target, and until it is over", () => {
    const source = { kind: "dns", host: "db.internal", port: 5432, tls: false } as const
    const dns = { ...targetSpec(A), url: "dns://db.internal:5432", source }
    const { pool } = testPool(poolSpec([dns]))
    const way = wayThrough(pool)
    expect([way.next(), pool.awaited, pool.troubleOf(dns)]).toEqual([
      "wait",
      "the DNS has not answered yet",
      "no answer yet",
    ])
    pool.troubled(dns.url, "db.internal: SERVFAIL")
    expect(way.granted).toEqual([undefined])
    expect(way.lease.problem).toBe(
      "pool db: no target can be used: it has no targets now, db.internal: SERVFAIL (0 in all)",
    )
    expect(pool.troubleOf(dns)).toBe("db.internal: SERVFAIL")
    pool.troubled(dns.url, undefined)
    expect(pool.troubleOf(dns)).toBeUndefined()
    pool.troubled(dns.url, "db.internal: SERVFAIL")
    pool.apply(poolSpec([B]))
    expect([...pool.troubles]).toEqual([])
  })
})

test("pools outlive a snapshot that does not name them, and keep what is known", () => {
  const pools = new Pools(NO_EXITS)
  const spec = poolSpec(2)
  pools.apply(new Map([["db", spec]]))
  const pool = pools.find("db")!
  pool.checked([...pool.members.values()][0]!, "refused")
  pools.apply(new Map())
  expect(pools.find("db")).toBe(pool)
  pools.apply(new Map([["db", spec]]))
  expect(pools.find("db")).toBe(pool)
  pools.close()
  expect(pools.find("db")).toBeUndefined()
})
