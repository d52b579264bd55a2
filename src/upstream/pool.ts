// A pool over time: its members, who of them can be used, who waits for one, and what becomes of their connections.
// Plain code on the way of every connection; probes and the DNS report to it from outside.
import type { PoolFacts } from "../policy/check-route.ts"
import type { PoolSpec, TargetSpec } from "../policy/pool.ts"
import type { Target } from "../policy/target.ts"
import { WAIT } from "./attempts.ts"
import type { Balancer, Request } from "./balance.ts"
import { balancerFor } from "./balance/index.ts"
import { FAILED, forget, measured } from "./balance/latency.ts"
import { Breaker } from "./breaker.ts"
import { RetryBudget } from "./budget.ts"
import { blame, forgive } from "./ejection.ts"
import { Lease } from "./lease.ts"
import { Member, type MemberFacts } from "./member.ts"

/** What happens to a member, for the log and the events. */
export type MemberChange = "down" | "up" | "ejected" | "returned" | "breaker-open" | "breaker-closed"

export interface PoolExits {
  readonly changed: (pool: Pool, member: Member, change: MemberChange) => void
  /** Its connections are to be closed. */
  readonly close: (member: Member) => void
  /** There are other members than before: whoever follows them is to look again. */
  readonly members: (pool: Pool) => void
}

/** Members of one priority that can be used. */
interface Group {
  readonly priority: number
  readonly balancer: Balancer
  readonly usable: readonly Member[]
}

export class Pool implements PoolFacts {
  readonly name: string
  spec: PoolSpec
  /** By id, in the order as written. */
  members: ReadonlyMap<string, Member> = new Map()
  retries = 0
  private readonly exits: PoolExits
  /** What the DNS says of the targets that follow it; `undefined` until it has said anything. */
  private readonly records = new Map<string, readonly MemberFacts[] | undefined>()
  private readonly balancers = new Map<number, Balancer>()
  private groups: readonly Group[] = []
  private readonly waiting = new Set<Lease>()
  private serving = false
  private readonly budget: RetryBudget
  private readonly request: { hash: number; now: number; tried: readonly Member[] }
  private timer: Timer | undefined = undefined

  constructor(spec: PoolSpec, exits: PoolExits) {
    this.name = spec.name
    this.spec = spec
    this.exits = exits
    const now = performance.now()
    this.budget = new RetryBudget(spec.retryBudget, now)
    this.request = { hash: 0, now, tried: [] }
    this.members = this.merged(false)
    this.rebuild()
  }

  get encrypts(): boolean {
    return this.spec.targets.some(({ source }) =>
      source.kind === "target" ? source.target.kind === "tls" : source.tls,
    )
  }

  /** Connections that wait for a place. */
  get queued(): number {
    return this.waiting.size
  }

  /** Whether a target that follows the DNS has had no answer yet. */
  private get pending(): boolean {
    return this.spec.targets.some(({ source, url }) => source.kind !== "target" && this.records.get(url) === undefined)
  }

  /** Other options, or other targets: members that stay keep what is known of them. */
  apply(spec: PoolSpec): void {
    if (spec === this.spec) return
    const { balance, breaker } = this.spec
    this.spec = spec
    this.budget.share = spec.retryBudget
    if (spec.balance !== balance) this.balancers.clear()
    for (const url of this.records.keys()) {
      if (!spec.targets.some((target) => target.url === url)) this.records.delete(url)
    }
    if (breaker !== spec.breaker) for (const member of this.members.values()) member.breaker = undefined
    this.renew()
  }

  /** What the DNS says of a target that follows it. */
  follow(url: string, found: readonly MemberFacts[]): void {
    this.records.set(url, found)
    this.renew()
  }

  /** The first answer of the DNS has not come, and will not soon: who waits for it is told. */
  unanswered(url: string): void {
    if (this.records.get(url) !== undefined) return
    this.records.set(url, [])
    this.rebuild()
  }

  /** A way through the pool for one connection. */
  lease(hash: number, retries: number | undefined, granted: (target: Target | undefined) => void): Lease {
    this.budget.earn()
    return new Lease(this, hash, retries, granted)
  }

  /** One that the lease has not tried; `WAIT` when all of them are full. */
  pick(lease: Lease): Member | typeof WAIT | undefined {
    const request = this.requestOf(lease)
    for (const { balancer, usable } of this.groups) {
      const found = balancer.pick(request)
      if (found !== undefined) return found
      if (usable.some((member) => !lease.tried.includes(member))) return WAIT
    }
    return this.pending ? WAIT : undefined
  }

  canPick({ tried }: Lease): boolean {
    return this.groups.some(({ usable }) => usable.some((member) => !tried.includes(member)))
  }

  allowsRetry(): boolean {
    return this.budget.has(performance.now())
  }

  retried(): void {
    this.retries++
    this.budget.spend()
  }

  /** Lets the lease wait for a place. Returns whether there is room to wait. */
  enqueue(lease: Lease): boolean {
    if (this.waiting.size >= this.spec.queue.size) return false
    this.waiting.add(lease)
    return true
  }

  leave(lease: Lease): void {
    this.waiting.delete(lease)
  }

  taken(member: Member): void {
    member.active++
    member.attempts++
    member.trying = member.breaker?.isTrying(performance.now()) === true
  }

  /** A connection to it is over. */
  freed(member: Member, judged: boolean): void {
    member.active--
    // The attempt that was to show whether it is better has shown nothing: another one may.
    if (!judged) member.trying = false
    if (this.waiting.size > 0) this.serve()
  }

  /** An attempt has connected, after so long. */
  measured(member: Member, milliseconds: number): void {
    // It is better as far as that: others may try as well.
    member.trying = false
    measured(member, milliseconds, performance.now())
  }

  /** What a connection says of a member. */
  judge(member: Member, failed: boolean): void {
    const now = performance.now()
    if (failed) {
      member.failures++
      measured(member, FAILED, now)
    }
    member.trying = false
    if (member.breaker?.record(failed, now) === true) {
      this.exits.changed(this, member, failed ? "breaker-open" : "breaker-closed")
      this.rebuild()
    }
    const { passive } = this.spec
    if (passive === undefined || member.removed) return
    if (!failed) return forgive(member.streak, passive, now)
    // What began before it was taken out says nothing new.
    if (member.ejectedUntil > 0) return
    const until = blame(member.streak, passive, this.share(), now)
    if (until === 0) return
    member.ejectedUntil = until
    this.exits.changed(this, member, "ejected")
    this.rebuild()
  }

  /** What its checks say of a member: healthy without a problem. */
  checked(member: Member, problem: string | undefined): void {
    const healthy = problem === undefined
    member.problem = problem
    if (member.healthy === healthy) return
    member.healthy = healthy
    if (healthy) this.rise(member)
    this.rebuild()
    this.exits.changed(this, member, healthy ? "up" : "down")
    if (!healthy && this.spec.closeOnUnhealthy) this.exits.close(member)
  }

  /** Why no member can be had. */
  whyNone(why: string | undefined): string {
    const members = [...this.members.values()]
    const now = performance.now()
    const counts = {
      unhealthy: members.filter(({ healthy }) => !healthy).length,
      ejected: members.filter(({ ejectedUntil }) => ejectedUntil > 0).length,
      "with an open breaker": members.filter(({ breaker }) => breaker?.isOpen(now) === true).length,
      "of weight 0": members.filter(({ weight }) => weight === 0).length,
    }
    const said = Object.entries(counts).flatMap(([name, count]) => (count > 0 ? [`${count} ${name}`] : []))
    if (why !== undefined) said.unshift(why)
    else if (members.length === 0) said.unshift("it has no targets now")
    return `pool ${this.name}: no target can be used${said.length === 0 ? "" : `: ${said.join(", ")}`} (${members.length} in all)`
  }

  /** Nobody names it any more: whoever waits is told. */
  close(): void {
    clearTimeout(this.timer)
    this.groups = []
    this.records.clear()
    for (const lease of Array.from(this.waiting)) {
      this.waiting.delete(lease)
      lease.grant(undefined)
    }
  }

  private requestOf(lease: Lease): Request {
    const { request } = this
    request.hash = lease.hash
    request.now = performance.now()
    request.tried = lease.tried
    return request
  }

  /** Out by their failures, of all that could be used. */
  private share(): { ejected: number; total: number } {
    let ejected = 0
    let total = 0
    for (const { ejectedUntil, weight } of this.members.values()) {
      if (weight === 0) continue
      total++
      if (ejectedUntil > 0) ejected++
    }
    return { ejected, total }
  }

  private renew(): void {
    const before = this.members
    this.members = this.merged(true)
    for (const [id, member] of before) if (this.members.get(id) !== member) member.removed = true
    this.rebuild()
    this.exits.members(this)
  }

  /** The members of the targets as they are now; those that were there before are the same objects. */
  private merged(rising: boolean): Map<string, Member> {
    const merged = new Map<string, Member>()
    for (const facts of this.spec.targets.flatMap((target) => this.factsOf(target))) {
      const known = this.members.get(facts.id)
      if (known === undefined) {
        const member = new Member(facts)
        if (rising) this.rise(member)
        merged.set(facts.id, member)
      } else {
        known.name = facts.name
        known.target = facts.target
        known.weight = facts.weight
        known.priority = facts.priority
        known.maxConnections = facts.maxConnections
        merged.set(facts.id, known)
      }
    }
    return merged
  }

  private factsOf({ maxConnections, name, priority, source, url, weight }: TargetSpec): readonly MemberFacts[] {
    if (source.kind !== "target") return this.records.get(url) ?? []
    return [{ id: url, name, target: source.target, weight, priority, maxConnections }]
  }

  private rise(member: Member): void {
    const now = performance.now()
    member.risingFrom = now
    member.risenAt = now + this.spec.slowStart
    forget(member)
  }

  /** Who can be used has changed. */
  private rebuild(): void {
    const now = performance.now()
    const { breaker, health, panicThreshold } = this.spec
    const weighted: Member[] = []
    let good = 0
    for (const member of this.members.values()) {
      if (breaker !== undefined) member.breaker ??= new Breaker(breaker)
      // Nobody checks it any more.
      if (health === undefined) member.healthy = true
      if (member.weight === 0) continue
      weighted.push(member)
      if (isGood(member, now)) good++
    }
    const panic = good < weighted.length * panicThreshold
    const groups: Group[] = []
    for (const [priority, all] of Map.groupBy(weighted, (member) => member.priority)) {
      const usable = panic ? all : all.filter((member) => isGood(member, now))
      const balancer = this.balancerOf(priority)
      balancer.update(usable, all)
      if (usable.length > 0) groups.push({ priority, usable, balancer })
    }
    this.groups = groups.sort((a, b) => a.priority - b.priority)
    this.wakeUp(now)
    if (this.waiting.size > 0) this.serve()
  }

  private balancerOf(priority: number): Balancer {
    let balancer = this.balancers.get(priority)
    if (balancer === undefined) {
      balancer = balancerFor(this.spec.balance)
      this.balancers.set(priority, balancer)
    }
    return balancer
  }

  /** Looks again when the first of those that are out comes back. */
  private wakeUp(now: number): void {
    clearTimeout(this.timer)
    let soonest = Number.POSITIVE_INFINITY
    for (const { breaker, ejectedUntil } of this.members.values()) {
      if (ejectedUntil > 0) soonest = Math.min(soonest, ejectedUntil)
      if (breaker?.isOpen(now) === true) soonest = Math.min(soonest, breaker.openUntil)
    }
    if (soonest === Number.POSITIVE_INFINITY) return
    this.timer = setTimeout(() => this.comeBack(), Math.max(1, Math.ceil(soonest - now)))
    this.timer.unref()
  }

  private comeBack(): void {
    const now = performance.now()
    for (const member of this.members.values()) {
      if (member.ejectedUntil === 0 || member.ejectedUntil > now) continue
      member.ejectedUntil = 0
      this.rise(member)
      this.exits.changed(this, member, "returned")
    }
    this.rebuild()
  }

  /** Gives places to those who wait, first come first served. */
  private serve(): void {
    // What is granted may fail at once and come back here.
    if (this.serving) return
    this.serving = true
    try {
      for (const lease of this.waiting) {
        const found = this.pick(lease)
        if (found === WAIT) break
        this.waiting.delete(lease)
        lease.grant(found)
      }
    } finally {
      this.serving = false
    }
  }
}

function isGood(member: Member, now: number): boolean {
  return member.healthy && member.ejectedUntil === 0 && member.breaker?.isOpen(now) !== true
}
