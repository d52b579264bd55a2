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
import { blame, forgive, mostEjected } from "./ejection.ts"
import { Gone } from "./gone.ts"
import { Lease } from "./lease.ts"
import { Member, type MemberFacts } from "./member.ts"
import { Waiting } from "./waiting.ts"

/** What happens to a member, for the log and the events. */
export type MemberChange = "down" | "up" | "ejected" | "returned" | "breaker-open" | "breaker-closed"

/**
 * Which of the connections to a member are to go elsewhere. `attempts`: those that only try to reach it. `unheard`: also
 * those that have neither heard from it nor said anything to it. `all`: what cannot go elsewhere is closed.
 */
export type Leaving = "attempts" | "unheard" | "all"

/** An hour: timers of more than 24 days fire at once. */
const LONGEST_TIMER = 3_600_000

export interface PoolExits {
  readonly changed: (pool: Pool, member: Member, change: MemberChange) => void
  /** It is not to be waited for any longer. */
  readonly leave: (pool: Pool, member: Member, who: Leaving) => void
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
  private readonly gone = new Gone()
  retries = 0
  private readonly exits: PoolExits
  /** What the DNS says of the targets that follow it; `undefined` until it has said anything. */
  private readonly records = new Map<string, readonly MemberFacts[] | undefined>()
  /** What is wrong with the DNS of targets that follow it, by their URLs. */
  readonly troubles = new Map<string, string>()
  private readonly balancers = new Map<number, Balancer>()
  private groups: readonly Group[] = []
  /** There are members that could have connections, whatever is known of them. */
  private hasTargets = false
  private readonly waiting = new Waiting()
  private readonly budget: RetryBudget
  private readonly request: { hash: number; now: number; tried: readonly Member[] }
  private timer: Timer | undefined = undefined
  private readonly grant = (lease: Lease): boolean => {
    const found = this.pick(lease)
    if (found === WAIT) return false
    this.leave(lease)
    lease.grant(found)
    return true
  }
  private closed = false

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

  /** Whether nobody could be asked so far, because a target that follows the DNS has had no answer yet. */
  private get pending(): boolean {
    return !this.hasTargets && this.spec.targets.some((target) => this.isUnanswered(target))
  }

  /** What connections wait for, when they do. */
  get awaited(): string {
    return this.pending ? "the DNS has not answered yet" : "all targets have as many connections as they may"
  }

  private isUnanswered({ source, url }: TargetSpec): boolean {
    return source.kind !== "target" && this.records.get(url) === undefined
  }

  /** What is wrong with the DNS of a target that follows it; `undefined` where nothing is. */
  troubleOf(target: TargetSpec): string | undefined {
    return this.troubles.get(target.url) ?? (this.isUnanswered(target) ? "no answer yet" : undefined)
  }

  /** Other options, or other targets: members that stay keep what is known of them. */
  apply(spec: PoolSpec): void {
    if (spec === this.spec) return
    const { balance, breaker } = this.spec
    this.spec = spec
    this.budget.share = spec.retryBudget
    if (spec.balance !== balance) this.balancers.clear()
    for (const map of [this.records, this.troubles])
      for (const url of map.keys()) if (!spec.targets.some((target) => target.url === url)) map.delete(url)
    if (breaker !== spec.breaker)
      for (const member of [...this.members.values(), ...this.gone.all()]) member.dropBreaker()
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

  /** Something is wrong with the DNS of a target that follows it, or nothing is any more: the last answer stands. */
  troubled(url: string, problem: string | undefined): void {
    if (problem === undefined) return void this.troubles.delete(url)
    this.troubles.set(url, problem)
    this.unanswered(url)
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

  /** Retries that can be had without taking them all from those who will need one. */
  get spareRetries(): number {
    return this.budget.spare
  }

  retried(): void {
    this.retries++
    this.budget.spend()
  }

  /** Lets the lease wait for a place. Returns whether there is room to wait. */
  enqueue(lease: Lease): boolean {
    if (this.queued >= this.spec.queue.size) return false
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
    this.serve()
  }

  /** An attempt has connected, after so long. */
  measured(member: Member, milliseconds: number): void {
    measured(member, milliseconds, performance.now())
    // It is better as far as that: others may try as well.
    if (!member.trying) return
    member.trying = false
    this.serve()
  }

  /** What a connection says of a member. */
  judge(member: Member, failed: boolean): void {
    const now = performance.now()
    if (failed) {
      member.failures++
      measured(member, FAILED, now)
    }
    const wasTrying = member.trying
    member.trying = false
    if (member.breaker?.record(failed, now) === true) {
      this.exits.changed(this, member, failed ? "breaker-open" : "breaker-closed")
      this.rebuild()
    } else if (wasTrying) this.serve()
    const { passive } = this.spec
    if (passive === undefined || member.removed) return
    if (!failed) return forgive(member.streak, passive, now)
    // What began before it was taken out, by this or by its checks, says nothing new.
    if (member.ejectedUntil > 0 || !member.healthy) return
    const until = blame(member.streak, passive, this.isSpared(member, now) || this.share().left > 0, now)
    if (until === 0) return
    member.ejectedUntil = until
    this.exits.changed(this, member, "ejected")
    this.rebuild()
    // Not at once: who reports this failure is still on its way to the next member itself.
    queueMicrotask(() => this.exits.leave(this, member, "attempts"))
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
    if (!healthy) this.exits.leave(this, member, this.spec.closeOnUnhealthy ? "all" : "unheard")
  }

  /** Nobody names it any more: whoever waits is told. */
  close(): void {
    this.closed = true
    clearTimeout(this.timer)
    this.groups = []
    this.records.clear()
    for (const lease of this.waiting.all()) {
      this.leave(lease)
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

  /** Out by their failures, of all that could be used. Who fails its checks would be out in any case. */
  private share(): { ejected: number; left: number } {
    let ejected = 0
    let total = 0
    for (const { ejectedUntil, healthy, weight } of this.members.values()) {
      if (weight === 0) continue
      total++
      if (healthy && ejectedUntil > 0) ejected++
    }
    return { ejected, left: mostEjected(this.spec.passive, total) - ejected }
  }

  /** Whether others can do its work: a target of another priority that can be used. Then all of its own may be out. */
  private isSpared({ priority }: Member, now: number): boolean {
    for (const other of this.members.values())
      if (other.priority !== priority && other.weight > 0 && isGood(other, now)) return true
    return false
  }

  /**
   * Those whose time is over; and when more are out than may be, because others have gone or pass their checks again, or
   * the options are different, those who would be the next.
   */
  private returnDue(now: number): void {
    const out = [...this.members.values()].filter(({ ejectedUntil }) => ejectedUntil > 0)
    if (out.length === 0) return
    for (const member of out) if (member.ejectedUntil <= now) this.return(member, now)
    const surplus = -this.share().left
    if (surplus <= 0) return
    const counted = out.filter(
      (member) => member.ejectedUntil > 0 && member.healthy && member.weight > 0 && !this.isSpared(member, now),
    )
    counted.sort((a, b) => a.ejectedUntil - b.ejectedUntil)
    for (const member of counted.slice(0, surplus)) this.return(member, now)
  }

  private return(member: Member, now: number): void {
    member.ejectedUntil = 0
    member.streak.back = now
    this.rise(member)
    this.exits.changed(this, member, "returned")
  }

  private renew(): void {
    const before = this.members
    this.members = this.merged(true)
    for (const [id, member] of before) {
      if (this.members.get(id) === member) continue
      member.removed = true
      this.gone.add(member, performance.now())
    }
    this.rebuild()
    this.exits.members(this)
  }

  /** The members of the targets as they are now; those that were there before are the same objects. */
  private merged(rising: boolean): Map<string, Member> {
    const merged = new Map<string, Member>()
    for (const facts of this.spec.targets.flatMap((target) => this.factsOf(target))) {
      const known = this.members.get(facts.id) ?? this.gone.take(facts.id, performance.now())
      const member = known ?? new Member(facts)
      if (known === undefined && rising) this.rise(member)
      member.become(facts)
      merged.set(facts.id, member)
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
    if (this.closed) return
    const now = performance.now()
    const { breaker, health, panicThreshold } = this.spec
    const weighted: Member[] = []
    let good = 0
    // Nobody checks them any more.
    if (health === undefined) for (const member of this.members.values()) member.healthy = true
    this.returnDue(now)
    for (const member of this.members.values()) {
      if (breaker !== undefined) member.breaker ??= new Breaker(breaker)
      if (member.weight === 0) continue
      weighted.push(member)
      if (isGood(member, now)) good++
    }
    const panic = good < weighted.length * panicThreshold
    this.hasTargets = weighted.length > 0
    const groups: Group[] = []
    const byPriority = Map.groupBy(weighted, (member) => member.priority)
    for (const priority of this.balancers.keys()) if (!byPriority.has(priority)) this.balancers.delete(priority)
    for (const [priority, all] of byPriority) {
      const usable = panic ? all : all.filter((member) => isGood(member, now))
      const balancer = this.balancerOf(priority)
      balancer.update(usable, all)
      if (usable.length > 0) groups.push({ priority, usable, balancer })
    }
    this.groups = groups.sort((a, b) => a.priority - b.priority)
    this.wakeUp(now)
    this.serve()
  }

  private balancerOf(priority: number): Balancer {
    let balancer = this.balancers.get(priority)
    if (balancer === undefined) {
      balancer = balancerFor(this.spec.balance)
      this.balancers.set(priority, balancer)
    }
    return balancer
  }

  /** Looks again when the time of the first of those that are out is over. */
  private wakeUp(now: number): void {
    clearTimeout(this.timer)
    let soonest = Number.POSITIVE_INFINITY
    for (const { breaker, ejectedUntil } of this.members.values()) {
      if (ejectedUntil > 0) soonest = Math.min(soonest, ejectedUntil)
      if (breaker?.isOpen(now) === true) soonest = Math.min(soonest, breaker.openUntil)
    }
    if (soonest === Number.POSITIVE_INFINITY) return
    this.timer = setTimeout(() => this.rebuild(), Math.min(LONGEST_TIMER, Math.max(1, Math.ceil(soonest - now))))
    this.timer.unref()
  }

  /** Somebody may have room now. */
  private serve(): void {
    if (this.queued > 0) this.waiting.serve(this.grant)
  }
}

function isGood(member: Member, now: number): boolean {
  return member.healthy && member.ejectedUntil === 0 && member.breaker?.isOpen(now) !== true
}
