// Pools under thousands of random histories, each step held against what must always be true. The clock is the test's.
import { afterEach, beforeEach, expect, jest, test } from "bun:test"
import type { Balance, PoolSpec, TargetSpec } from "../../src/policy/pool.ts"
import { parseTarget } from "../../src/policy/target.ts"
import { WAIT } from "../../src/upstream/attempts.ts"
import type { Lease } from "../../src/upstream/lease.ts"
import type { Member } from "../../src/upstream/member.ts"
import { Pool, type Leaving } from "../../src/upstream/pool.ts"
import { HEALTH, NO_EXITS, poolSpec, targetSpec } from "../helper/pools.ts"
import { random, type Random } from "../helper/random.ts"

beforeEach(() => void jest.useFakeTimers())
afterEach(() => void jest.useRealTimers())

const HISTORIES = 500
const STEPS = 150
const MOST_TARGETS = 6
const BALANCES: readonly Balance[] = ["round-robin", "least-connections", "random-two", "hash", "first", "latency"]

const DNS: TargetSpec = {
  ...targetSpec("tcp://10.1.0.0:5432"),
  url: "dns://db.internal:5432",
  source: { kind: "dns", host: "db.internal", port: 5432, tls: false },
}

function anySpec({ below, pick }: Random): PoolSpec {
  const targets = Array.from({ length: MOST_TARGETS }, (_, i) =>
    targetSpec(`tcp://10.0.0.${i + 1}:5432`, {
      weight: pick([0, 1, 1, 1, 3]),
      priority: pick([0, 0, 0, 1]),
      maxConnections: pick([1, 2, 3, Number.POSITIVE_INFINITY]),
    }),
  ).filter(() => below(4) > 0)
  return poolSpec(below(3) === 0 ? [...targets, DNS] : targets, {
    balance: pick(BALANCES),
    health: pick([HEALTH, HEALTH, undefined]),
    passive: pick([
      undefined,
      { failures: 1 + below(3), ejectFor: 1 + below(50), ejectForAtMost: 200, ejectAtMost: pick([0.5, 0.5, 1, 0]) },
    ]),
    panicThreshold: pick([0, 0, 0.3]),
    slowStart: pick([0, 0, 30]),
    closeOnUnhealthy: below(2) === 0,
    queue: { size: below(5), timeout: 5000 },
    breaker: pick([undefined, { failures: 0.5, attempts: 1 + below(4), window: 100, openFor: 1 + below(50) }]),
    retries: pick([undefined, undefined, 0, 1]),
    retryBudget: pick([0, 0.2, 1, 1]),
  })
}

/** One connection. */
interface Client {
  readonly lease: Lease
  readonly mostAttempts: number
  waits: boolean
}

class History {
  private readonly random: Random
  readonly pool: Pool
  private readonly clients: Client[] = []
  /** In the order in which they came. */
  private readonly waiting: Client[] = []
  readonly seen = new Set<Member>()
  /** Those who wait already, when the queue becomes smaller. */
  private bound = 0
  private answered = false
  private readonly began = performance.now()
  /** Retries that connections have brought. */
  private earned = 0
  done: string[] = []

  constructor(seed: number) {
    this.random = random(seed)
    this.pool = new Pool(anySpec(this.random), { ...NO_EXITS, leave: (_, member, who) => this.leave(member, who) })
  }

  step(): void {
    const { below, pick } = this.random
    const { clients, pool } = this
    const members = [...pool.members.values()]
    const held = clients.filter(({ lease }) => lease.member !== undefined)
    const action = below(100)
    if (action < 30) this.connect()
    else if (action < 45) this.end(pick(clients))
    else if (action < 55) this.tell(pick(held), "spoke")
    else if (action < 60) this.tell(pick(held), "connected")
    else if (action < 75) this.fail(pick(held))
    else if (action < 85) this.check(pick(members), below(2) === 0)
    else if (action < 94) this.pass(below(40))
    else if (action < 97) this.answer()
    else this.reconfigure()
  }

  private connect(): void {
    const retries = this.random.pick([undefined, undefined, undefined, 0, 1])
    const client: Client = {
      lease: this.pool.lease(this.random.below(2 ** 32), retries, (target) => {
        expect(client.waits).toBe(true)
        client.waits = false
        this.waiting.splice(this.waiting.indexOf(client), 1)
        if (target === undefined) return this.gone(client)
        this.got(client)
        // As what is refused at once.
        if (this.random.below(5) === 0) this.fail(client)
      }),
      mostAttempts: 1 + (retries ?? this.pool.spec.retries ?? Number.POSITIVE_INFINITY),
      waits: false,
    }
    this.clients.push(client)
    this.earned += this.pool.spec.retryBudget
    this.note("connect")
    this.next(client)
  }

  private next(client: Client): void {
    const found = client.lease.next()
    if (found === WAIT) {
      client.waits = true
      this.waiting.push(client)
    } else if (found === undefined) this.gone(client)
    else this.got(client)
  }

  /** It has a target: one that could be had. */
  private got({ lease, mostAttempts }: Client): void {
    const member = lease.member!
    const now = performance.now()
    expect(lease.tried.length).toBeLessThanOrEqual(mostAttempts)
    expect(new Set(lease.tried).size).toBe(lease.tried.length)
    expect(usable(this.pool, now).flat()).toContain(member)
    expect(member.active).toBeLessThanOrEqual(member.maxConnections)
  }

  private end(client: Client | undefined): void {
    if (client === undefined) return
    this.note("end")
    this.gone(client)
  }

  private gone(client: Client): void {
    const at = this.waiting.indexOf(client)
    if (at >= 0) this.waiting.splice(at, 1)
    client.waits = false
    this.clients.splice(this.clients.indexOf(client), 1)
    client.lease.release()
  }

  private tell(client: Client | undefined, what: "spoke" | "connected"): void {
    if (client === undefined) return
    this.note(what)
    if (what === "spoke") client.lease.spoke()
    else client.lease.connected(1 + this.random.below(20))
  }

  private fail(client: Client | undefined): void {
    if (client === undefined) return
    this.note("fail")
    client.lease.failed()
    if (this.random.below(4) === 0) this.gone(client)
    else this.next(client)
  }

  /** As the data path: those that only try go elsewhere, some of the others as well. */
  private leave(member: Member, who: Leaving): void {
    for (const client of Array.from(this.clients)) {
      if (client.lease.member !== member) continue
      if (client.lease.more && this.random.below(2) === 0) this.fail(client)
      else if (who === "all") this.gone(client)
    }
  }

  private check(member: Member | undefined, isGood: boolean): void {
    if (member === undefined || this.pool.spec.health === undefined) return
    this.note(`check ${member.id} ${isGood}`)
    this.pool.checked(member, isGood ? undefined : "refused")
  }

  private pass(milliseconds: number): void {
    this.note(`pass ${milliseconds}`)
    jest.advanceTimersByTime(milliseconds)
  }

  private reconfigure(): void {
    this.note("reconfigure")
    this.bound = this.waiting.length
    const spec = anySpec(this.random)
    if (!spec.targets.includes(DNS)) this.answered = false
    this.pool.apply(spec)
  }

  /** The DNS says something. */
  private answer(): void {
    const { url } = DNS
    if (!this.pool.spec.targets.includes(DNS)) return
    this.note("answer")
    this.answered = true
    if (this.random.below(4) === 0) return this.pool.unanswered(url)
    const found = ["tcp://10.1.0.1:5432", "tcp://10.1.0.2:5432"].filter(() => this.random.below(3) > 0)
    const facts = found.map((at) => ({
      id: `${url} ${at}`,
      name: at,
      target: parseTarget(at),
      weight: 1,
      priority: 0,
      maxConnections: 2,
    }))
    this.pool.follow(url, facts)
  }

  private note(what: string): void {
    this.done.push(what)
  }

  /** What must be true between any two steps. */
  look(): void {
    const { clients, pool, waiting } = this
    const now = performance.now()
    for (const member of pool.members.values()) this.seen.add(member)
    for (const { lease } of clients) if (lease.member !== undefined) this.seen.add(lease.member)
    for (const member of this.seen)
      expect(member.active).toBe(clients.filter(({ lease }) => lease.member === member).length)
    expect(pool.queued).toBe(waiting.length)
    this.bound = Math.min(this.bound, waiting.length)
    expect(waiting.length).toBeLessThanOrEqual(Math.max(this.bound, pool.spec.queue.size))
    const groups = usable(pool, now)
    const isPending = pool.spec.targets.includes(DNS) && !this.answered
    for (const { lease } of waiting) expect(wouldWait(groups, lease, isPending)).toBe(true)
    // 10 to begin with, and 10 a second.
    expect(pool.retries).toBeLessThanOrEqual(10 + this.earned + (now - this.began) / 100)
    const { passive } = pool.spec
    const counted = [...pool.members.values()].filter(({ weight }) => weight > 0)
    const ejected = counted.filter((member) => member.healthy && member.ejectedUntil > 0)
    const others = (member: Member) => counted.filter(({ priority }) => priority !== member.priority)
    // More than its share only while others do their work.
    if (ejected.length > Math.floor(counted.length * (passive?.ejectAtMost ?? 0)))
      for (const member of ejected) expect(others(member).some((other) => isGood(other, now))).toBe(true)
    for (const { ejectedUntil } of pool.members.values())
      if (ejectedUntil > 0) expect(ejectedUntil).toBeGreaterThan(now)
  }

  endAll(): void {
    while (this.clients.length > 0) this.gone(this.clients[0]!)
    for (const member of this.seen) expect(member.active).toBe(0)
    expect(this.pool.queued).toBe(0)
  }

  /** Nobody is left waiting. */
  close(): void {
    this.pool.close()
    expect(this.waiting).toEqual([])
    this.endAll()
  }
}

function isGood({ breaker, ejectedUntil, healthy }: Member, now: number): boolean {
  return healthy && ejectedUntil === 0 && (breaker?.openUntil ?? 0) <= now
}

/** Who can be used, those of the lowest priority first. */
function usable({ members, spec }: Pool, now: number): Member[][] {
  const weighted = [...members.values()].filter(({ weight }) => weight > 0)
  const good = weighted.filter((member) => isGood(member, now))
  const all = good.length < weighted.length * spec.panicThreshold ? weighted : good
  return [...Map.groupBy(all, ({ priority }) => priority)].sort(([a], [b]) => a - b).map(([, group]) => group)
}

function wouldWait(groups: readonly Member[][], { tried }: Lease, isPending: boolean): boolean {
  for (const group of groups) {
    const untried = group.filter((member) => !tried.includes(member))
    if (untried.length > 0) return untried.every((member) => !member.hasRoom)
  }
  return isPending
}

test("whatever happens in whatever order, places are counted, queues bounded, and only what can be used is picked", async () => {
  for (let seed = 1; seed <= HISTORIES; seed++) {
    const history = new History(seed)
    try {
      for (let step = 0; step < STEPS; step++) {
        history.step()
        history.look()
        // Those who are told to go elsewhere go afterwards.
        await Promise.resolve()
        history.look()
      }
      if (seed % 2 === 0) history.close()
      else history.endAll()
      history.pool.close()
    } catch (error) {
      throw new Error(`seed ${seed}, after ${history.done.slice(-12).join(", ")}: ${String(error)}`, { cause: error })
    }
  }
})
