// Pools: named targets with what is known of them over time. What people write (`Pool`), in `export const pools` and in
// tidegate.yaml alike, and the same as values (`PoolSpec`), with every default filled in.
import type { Duration } from "./duration.ts"
import type {
  BandwidthOptions,
  BandwidthSpec,
  ConcurrencyLimitOptions,
  ConcurrencyLimitSpec,
  RateLimitOptions,
  RateLimitSpec,
} from "./limits.ts"
import type { Target } from "./target.ts"
import type { UpstreamTls } from "./upstream-tls.ts"

/** One target of a pool, with what is special about it. */
export interface PoolTarget {
  /**
   * `tcp://host:port`, `tls://host:port`, `unix:/path`; `dns://name:port` for every address that the DNS has for the
   * name, `srv://_service._proto.name` for every target of its SRV records. Both follow the DNS.
   */
  readonly url: string
  /** How it is called in events and status. @default its URL */
  readonly name?: string
  /** 0 to 1,000,000: its share; 0 takes no new connections. Multiplies the weights of SRV records. @default 1 */
  readonly weight?: number
  /** 0 to 100: targets of a higher number are used when none of a lower one can be. Added to that of SRV records. @default 0 */
  readonly priority?: number
  /** Connections at one time. 1 to 1,000,000. @default that of the pool */
  readonly maxConnections?: number
  /** For `dns://` and `srv://`: encrypt, as for `tls://` targets. @default false */
  readonly tls?: boolean
}

/** How a target is picked. */
export type Balance = "round-robin" | "least-connections" | "random-two" | "hash" | "first" | "latency"

export type HealthCheckKind = "tcp" | "tls" | "postgres" | "redis" | "mysql" | "http"

/**
 * What a check says and expects to hear. `"tcp"` connects; `"tls"` completes a handshake with a certificate that is
 * verified as connections to `tls://` targets verify it, also where a `tcp://` target's TLS passes through. The others
 * speak a protocol, and see through a server that accepts connections and does nothing else.
 */
export type HealthCheck =
  | HealthCheckKind
  /**
   * Sends one and waits for the other, anywhere in the first 16 KiB. Bytes as text: `"\xff"` is one byte, and so is every
   * character up to U+00FF as long as there is none above, where the text is UTF-8. `send` is left out where the server
   * speaks first.
   */
  | { readonly send?: string; readonly expect: string }
  /** GET, as HTTP/1.1. @default path "/", host and port of the target, status 200 to 399 */
  | { readonly http: { readonly path?: string; readonly host?: string; readonly status?: readonly number[] } }
  /**
   * As pg_isready: whoever answers is healthy, except that it is starting up. Never sends a password. Where the server
   * asks for none, a user that exists keeps its log quiet. @default user "tidegate", database as the user
   */
  | { readonly postgres: { readonly user?: string; readonly database?: string } }
  /** PING. `role`: only a server that has it is healthy; a server with a password tells it for that only. */
  | { readonly redis: { readonly password?: string; readonly role?: "master" | "slave" } }
  /**
   * Tries to log in without a password, so that the server does not count an interrupted connect and block this host in
   * the end. Both answers are healthy; a user without password and privileges keeps its log quiet. @default "tidegate"
   */
  | { readonly mysql: { readonly user?: string } }

export interface Health {
  /** @default "tcp" */
  readonly check?: HealthCheck
  /** From the start of one check to that of the next. At least 100 ms. @default "5 seconds" */
  readonly interval?: Duration
  /** Share of the interval, 0 to 1, by which each check comes earlier or later. @default 0.1 */
  readonly jitter?: number
  /** For a whole check. @default "2 seconds" */
  readonly timeout?: Duration
  /** Good checks in a row that make a target healthy. 1 to 100. @default 2 */
  readonly rise?: number
  /** Bad checks in a row that make it unhealthy. 1 to 100. @default 3 */
  readonly fall?: number
  /** Check this port instead of the target's own. Nothing for `unix:` targets. */
  readonly port?: number
  /** Check inside TLS, verified. @default for `tls://` targets, unless `port` is given */
  readonly tls?: boolean
}

/** What connections themselves say of a target: refused, timed out, or reset before the first byte. */
export interface PassiveHealth {
  /** Failures in a row that take the target out. 1 to 1000. @default 3 */
  readonly failures?: number
  /** Out for this long the first time, twice as long each time after. @default "10 seconds" */
  readonly ejectFor?: Duration
  /** @default "5 minutes" */
  readonly ejectForAtMost?: Duration
  /**
   * Share of the pool, 0 to 1, that may be out by this at one time; more where a target of another priority can be used.
   * @default 0.5
   */
  readonly ejectAtMost?: number
}

/** Stops asking a target of which too large a share of attempts fails, however few are left. */
export interface Breaker {
  /** Share of failed attempts, above 0 to 1. @default 0.5 */
  readonly failures?: number
  /** Attempts within the window before the share counts. 1 to 10,000. @default 20 */
  readonly attempts?: number
  /** @default "10 seconds" */
  readonly window?: Duration
  /** Then one connection tries whether it is better. @default "10 seconds" */
  readonly openFor?: Duration
}

/** Connections that wait for a target with room, first come first served. */
export interface Queue {
  /** 0 to 100,000. @default 100 */
  readonly size?: number
  /** @default "5 seconds" */
  readonly timeout?: Duration
}

/** A pool as people write it. */
export interface Pool {
  readonly targets: readonly (string | PoolTarget)[]
  /** @default "round-robin" */
  readonly balance?: Balance
  /** For `hash`: what of a connection. A route's own `key` goes before it. @default "client" */
  readonly hashOn?: "client" | "sni"
  /** Active checks. @default none */
  readonly health?: Health | HealthCheckKind
  /** @default on, with the defaults of each option */
  readonly passive?: PassiveHealth | false
  /** With a smaller share of healthy targets than this, 0 to 1, health is not asked for. @default 0: never */
  readonly panicThreshold?: number
  /** A target that comes (back) gets its full share after this long. @default "0s" */
  readonly slowStart?: Duration
  /** Connections to a target that fails its checks are reset. @default false */
  readonly closeOnUnhealthy?: boolean
  /** Connections at one time for each target. @default no limit */
  readonly maxConnections?: number
  /** @default of 100 for 5 seconds */
  readonly queue?: Queue
  /** @default none */
  readonly breaker?: Breaker
  /** Further attempts after the first, each at a different target. @default the other targets */
  readonly retries?: number
  /** Retries, as a share of the pool's connections, 0 to 1; above 0, 10 a second are always allowed. @default 0.2 */
  readonly retryBudget?: number
  /** @default "5 seconds" */
  readonly connectTimeout?: Duration
  /** @default "5 minutes" */
  readonly idleTimeout?: Duration
  readonly maxDuration?: Duration
  /** Version of the PROXY header that targets get. @default none */
  readonly proxyProtocol?: 1 | 2
  /** How to speak TLS to the targets that are to be encrypted. */
  readonly tls?: UpstreamTls
  /** Connections that may come to it; further ones end as `limit-reached`. @default no limit */
  readonly rateLimit?: RateLimitOptions
  /** Connections at one time of each client; further ones end as `limit-reached`. @default no limit */
  readonly concurrencyLimit?: ConcurrencyLimitOptions
  /** Bytes per second; what comes faster waits. @default no limit */
  readonly bandwidth?: BandwidthOptions
}

/** `export const pools`. */
export type Pools = { readonly [name: string]: Pool }

/** A target with every default filled in. Durations are milliseconds here and below. */
export interface TargetSpec {
  /** Normalised; names the target in its pool. */
  readonly url: string
  readonly name: string
  readonly weight: number
  readonly priority: number
  readonly maxConnections: number
  /** What it leads to. */
  readonly source:
    | { readonly kind: "target"; readonly target: Target }
    | { readonly kind: "dns"; readonly host: string; readonly port: number; readonly tls: boolean }
    | { readonly kind: "srv"; readonly service: string; readonly tls: boolean }
}

export interface HealthSpec {
  readonly check: Exclude<HealthCheck, string> | { readonly tcp: true } | { readonly tls: true }
  readonly interval: number
  readonly jitter: number
  readonly timeout: number
  readonly rise: number
  readonly fall: number
  readonly port: number | undefined
  /** `undefined`: as the target, unless there is a `port`. */
  readonly tls?: boolean | undefined
}

export interface PoolSpec {
  readonly name: string
  readonly targets: readonly TargetSpec[]
  readonly balance: Balance
  readonly hashOn: "client" | "sni"
  readonly health: HealthSpec | undefined
  readonly passive: Required<{ [Name in keyof PassiveHealth]: number }> | undefined
  readonly panicThreshold: number
  readonly slowStart: number
  readonly closeOnUnhealthy: boolean
  readonly queue: { readonly size: number; readonly timeout: number }
  readonly breaker: Required<{ [Name in keyof Breaker]: number }> | undefined
  readonly retries: number | undefined
  readonly retryBudget: number
  readonly connectTimeout: number | undefined
  readonly idleTimeout: number | undefined
  readonly maxDuration: number | undefined
  readonly proxyProtocol: 1 | 2 | undefined
  readonly tls: UpstreamTls | undefined
  readonly rateLimit: RateLimitSpec | undefined
  readonly concurrencyLimit: ConcurrencyLimitSpec | undefined
  readonly bandwidth: BandwidthSpec | undefined
}
