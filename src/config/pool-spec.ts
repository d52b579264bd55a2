// A pool as written to the values that the gateway works with: every default filled in, one spelling for equal values.
import type { PoolLookup } from "../policy/check-route.ts"
import { milliseconds, type Duration } from "../policy/duration.ts"
import { readBandwidth, readConcurrencyLimit, readRateLimit } from "../policy/limit-options.ts"
import { parsePoolTarget } from "../policy/pool-target.ts"
import type {
  Breaker,
  Health,
  HealthCheck,
  HealthCheckKind,
  HealthSpec,
  PassiveHealth,
  Pool,
  PoolSpec,
  PoolTarget,
  TargetSpec,
} from "../policy/pool.ts"
import { checkUpstreamTls } from "../policy/upstream-tls.ts"

/** What is wrong with a pool whose options are right one by one. */
export interface PoolFault {
  readonly path: readonly PropertyKey[]
  readonly issue: string
}

/** Everything that two options of a pool say against each other, or that has no effect. */
export function poolFaults(pool: Pool): readonly PoolFault[] {
  const { balance, closeOnUnhealthy, hashOn, health, maxConnections, passive, queue, tls } = pool
  const faults: PoolFault[] = []
  const found = (issue: string, ...path: PropertyKey[]) => void faults.push({ path, issue })
  const targets = pool.targets.map((written, i) => {
    const { name, tls: encrypt = false, url } = targetOf(written)
    try {
      const { source, url: normal } = parsePoolTarget(url, encrypt)
      return { i, name: name ?? normal, url: normal, source }
    } catch (error) {
      found(error instanceof Error ? error.message : String(error), "targets", i, "tls")
      return undefined
    }
  })
  const seen = { url: new Map<string, number>(), name: new Map<string, number>() }
  for (const target of targets) {
    if (target === undefined) continue
    for (const what of ["url", "name"] as const) {
      const first = seen[what].get(target[what])
      if (first === undefined) seen[what].set(target[what], target.i)
      // Targets of one URL have one name as well.
      else if (what === "url" || target.name !== target.url)
        found(
          `${JSON.stringify(target[what])} is ${what === "url" ? "" : "the name of "}targets[${first}] already`,
          "targets",
          target.i,
        )
    }
  }
  const encrypts = targets.some((target) => target !== undefined && isEncrypted(target))
  if (tls !== undefined) {
    const problem = thrown(() => checkUpstreamTls(tls))
    if (problem !== undefined) found(problem.replace(/^route: tls: /, ""), "tls")
    else if (!encrypts && checkOf(health) !== "tls" && !(typeof health === "object" && health.tls === true))
      found("has no effect: no target is tls://host:port, or dns:// or srv:// with `tls: true`", "tls")
  }
  const limited =
    maxConnections !== undefined || pool.targets.some((each) => targetOf(each).maxConnections !== undefined)
  // Connections wait for the first answer of the DNS as well.
  const follows = targets.some((target) => target !== undefined && target.source.kind !== "target")
  if (queue !== undefined && !limited && !follows) found("has no effect without maxConnections", "queue")
  if (hashOn !== undefined && balance !== "hash") found('has no effect without balance: "hash"', "hashOn")
  if (closeOnUnhealthy === true && health === undefined) found("has no effect without health", "closeOnUnhealthy")
  if (typeof passive === "object" && ejectForAtMost(passive) < ejectFor(passive))
    found(`is shorter than ejectFor`, "passive", "ejectForAtMost")
  return faults
}

/** Expects a pool without faults. */
export function poolSpec(name: string, pool: Pool): PoolSpec {
  const {
    balance = "round-robin",
    bandwidth,
    breaker,
    concurrencyLimit,
    hashOn = "client",
    health,
    rateLimit,
    tls,
  } = pool
  const most = pool.maxConnections ?? Number.POSITIVE_INFINITY
  return frozen({
    name,
    targets: pool.targets.map((written) => targetSpec(targetOf(written), most)),
    balance,
    hashOn,
    health: health === undefined ? undefined : healthSpec(health),
    passive: pool.passive === false ? undefined : passiveSpec(pool.passive ?? {}),
    panicThreshold: pool.panicThreshold ?? 0,
    slowStart: time(pool.slowStart, 0),
    closeOnUnhealthy: pool.closeOnUnhealthy ?? false,
    queue: { size: pool.queue?.size ?? 100, timeout: time(pool.queue?.timeout, 5000) },
    breaker: breaker === undefined ? undefined : breakerSpec(breaker),
    retries: pool.retries,
    retryBudget: pool.retryBudget ?? 0.2,
    connectTimeout: given(pool.connectTimeout),
    idleTimeout: given(pool.idleTimeout),
    maxDuration: given(pool.maxDuration),
    proxyProtocol: pool.proxyProtocol,
    tls: tls === undefined ? undefined : checkUpstreamTls(tls),
    rateLimit: rateLimit === undefined ? undefined : readRateLimit("rateLimit", rateLimit),
    concurrencyLimit:
      concurrencyLimit === undefined ? undefined : readConcurrencyLimit("concurrencyLimit", concurrencyLimit),
    bandwidth: bandwidth === undefined ? undefined : readBandwidth("bandwidth", bandwidth),
  })
}

function targetOf(written: string | PoolTarget): PoolTarget {
  return typeof written === "string" ? { url: written } : written
}

function targetSpec(target: PoolTarget, most: number): TargetSpec {
  const { source, url } = parsePoolTarget(target.url, target.tls ?? false)
  return {
    url,
    name: target.name ?? url,
    weight: target.weight ?? 1,
    priority: target.priority ?? 0,
    maxConnections: target.maxConnections ?? most,
    source,
  }
}

/** What routes may name. */
export function poolLookup(pools: ReadonlyMap<string, PoolSpec>): PoolLookup {
  return {
    names: () => pools.keys(),
    find(name) {
      const spec = pools.get(name)
      return spec === undefined ? undefined : { encrypts: spec.targets.some(isEncrypted) }
    },
  }
}

/** Whether connections to the target are encrypted by the gateway. */
function isEncrypted({ source }: Pick<TargetSpec, "source">): boolean {
  return source.kind === "target" ? source.target.kind === "tls" : source.tls
}

function checkOf(health: Pool["health"]): HealthCheck | undefined {
  return typeof health === "object" ? (health.check ?? "tcp") : health
}

const CHECKS: Readonly<Record<HealthCheckKind, HealthSpec["check"]>> = {
  tcp: { tcp: true },
  tls: { tls: true },
  postgres: { postgres: {} },
  redis: { redis: {} },
  mysql: { mysql: {} },
  http: { http: {} },
}

function healthSpec(health: Health | HealthCheckKind): HealthSpec {
  const {
    check = "tcp",
    fall,
    interval,
    jitter,
    port,
    rise,
    timeout,
    tls,
  } = typeof health === "string" ? ({ check: health } as Health) : health
  return {
    check: typeof check === "string" ? CHECKS[check] : check,
    interval: time(interval, 5000),
    jitter: jitter ?? 0.1,
    timeout: time(timeout, 2000),
    rise: rise ?? 2,
    fall: fall ?? 3,
    port,
    tls,
  }
}

function passiveSpec(passive: PassiveHealth): NonNullable<PoolSpec["passive"]> {
  return {
    failures: passive.failures ?? 3,
    ejectFor: ejectFor(passive),
    ejectForAtMost: ejectForAtMost(passive),
    ejectAtMost: passive.ejectAtMost ?? 0.5,
  }
}

function ejectFor(passive: PassiveHealth): number {
  return time(passive.ejectFor, 10_000)
}

/** A first time that is longer than the default of the longest is the longest. */
function ejectForAtMost(passive: PassiveHealth): number {
  return time(passive.ejectForAtMost, Math.max(300_000, ejectFor(passive)))
}

function breakerSpec(breaker: Breaker): NonNullable<PoolSpec["breaker"]> {
  return {
    failures: breaker.failures ?? 0.5,
    attempts: breaker.attempts ?? 20,
    window: time(breaker.window, 10_000),
    openFor: time(breaker.openFor, 10_000),
  }
}

function given(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : milliseconds(duration, "duration")
}

function time(duration: Duration | undefined, otherwise: number): number {
  return given(duration) ?? otherwise
}

function thrown(check: () => unknown): string | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Frozen all the way down: a snapshot holds values. */
function frozen<A>(value: A): A {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const inner of Object.values(value)) frozen(inner)
  }
  return value
}
