// Pools for tests: a whole PoolSpec from the few options that a test is about, and a pool that notes what happens.
import type { PoolSpec, TargetSpec } from "../../src/policy/pool.ts"
import { parseTarget } from "../../src/policy/target.ts"
import { WAIT } from "../../src/upstream/attempts.ts"
import type { Lease } from "../../src/upstream/lease.ts"
import type { Member } from "../../src/upstream/member.ts"
import { Pool, type Leaving, type PoolExits } from "../../src/upstream/pool.ts"

export const PASSIVE: NonNullable<PoolSpec["passive"]> = {
  failures: 3,
  ejectFor: 10_000,
  ejectForAtMost: 300_000,
  ejectAtMost: 0.5,
}

/** Nobody checks: a test says what checks found. */
export const HEALTH: NonNullable<PoolSpec["health"]> = {
  check: { tcp: true },
  interval: 5000,
  jitter: 0,
  timeout: 2000,
  rise: 2,
  fall: 3,
  port: undefined,
}

export type TargetOptions = Partial<Pick<TargetSpec, "name" | "weight" | "priority" | "maxConnections">>

export function targetSpec(url: string, options: TargetOptions = {}): TargetSpec {
  const target = parseTarget(url)
  return {
    url: target.url,
    name: target.url,
    weight: 1,
    priority: 0,
    maxConnections: Number.POSITIVE_INFINITY,
    source: { kind: "target", target },
    ...options,
  }
}

/** A pool of these targets or so many made-up ones. */
export function poolSpec(
  targets: number | readonly (string | TargetSpec)[],
  options: Partial<PoolSpec> = {},
): PoolSpec {
  const list =
    typeof targets === "number" ? Array.from({ length: targets }, (_, i) => `tcp://10.0.0.${i + 1}:5432`) : targets
  return {
    name: "db",
    targets: list.map((entry) => (typeof entry === "string" ? targetSpec(entry) : entry)),
    balance: "round-robin",
    hashOn: "client",
    health: HEALTH,
    passive: PASSIVE,
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
    ...options,
  }
}

/** Nobody is told anything. */
export const NO_EXITS: PoolExits = { changed: () => undefined, leave: () => undefined, members: () => undefined }

export interface TestPool {
  readonly pool: Pool
  /** `change url`, in order. */
  readonly changes: string[]
  /** Who was not to be waited for any longer, and by whom. */
  readonly left: [Leaving, Member][]
  /** The members, in the order as written. */
  readonly members: readonly Member[]
}

export function testPool(spec: PoolSpec): TestPool {
  const changes: string[] = []
  const left: [Leaving, Member][] = []
  const exits: PoolExits = {
    changed: (_, member, change) => changes.push(`${change} ${member.id}`),
    leave: (_, member, who) => left.push([who, member]),
    members: () => undefined,
  }
  const pool = new Pool(spec, exits)
  return {
    pool,
    changes,
    left,
    get members() {
      return [...pool.members.values()]
    },
  }
}

/** What a connection that is granted a place later got, in order. */
export interface Way {
  readonly lease: Lease
  readonly granted: (string | undefined)[]
  /** The next target's URL, `"wait"`, or `undefined`. */
  next(): string | undefined
}

export function wayThrough(pool: Pool, options: { hash?: number; retries?: number } = {}): Way {
  const granted: (string | undefined)[] = []
  const lease = pool.lease(options.hash ?? 0, options.retries, (target) => granted.push(target?.url))
  return {
    lease,
    granted,
    next() {
      const found = lease.next()
      return found === WAIT ? "wait" : found?.url
    },
  }
}
