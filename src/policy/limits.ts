// Limits as people write them: in a policy, on a listener, on a pool.
import type { Connection } from "./connection.ts"
import type { Duration } from "./duration.ts"

/** Thrown for a limit that does not make sense; the message says what was found and what is expected. */
export class LimitInvalid extends Error {
  override readonly name = "LimitInvalid"
}

/**
 * What is counted together. `client`: one address, for IPv6 one /64. `{ ipv4: 24, ipv6: 48 }`: one network of that prefix
 * length. `sni`: one server name. `all`: everything. A function: whatever it gives; `undefined` is not limited.
 */
export type LimitKey = NamedKey | ((connection: Connection) => string | number | undefined)

/** The keys that need no code. */
export type NamedKey = "client" | "sni" | "all" | { readonly ipv4?: number; readonly ipv6?: number }

/** A key that needs no code, with its defaults: `client` is a network of one IPv4 address or one IPv6 /64. */
export type KeySpec = { readonly ipv4: number; readonly ipv6: number } | "sni" | "all"

/** Tokens come back evenly, `limit` of them in `per`; a connection takes one. At most `limit + burst` pass in any `per`. */
export interface RateLimitOptions<Key = NamedKey> {
  /** Connections per {@link per}. 1 to 1,000,000,000. */
  readonly limit: number
  /** 1 ms to 30 days. */
  readonly per: Duration
  /** Connections that may come at once: as many tokens there are at most, and at first. 1 to 1,000,000,000. @default `limit` */
  readonly burst?: number
  /** @default "client" */
  readonly key?: Key
}

/** The same with every default filled in. */
export interface RateLimitSpec<Key = KeySpec> {
  readonly limit: number
  /** Milliseconds. */
  readonly per: number
  readonly burst: number
  readonly key: Key
}

export interface ConcurrencyLimitOptions<Key = NamedKey> {
  /** Connections at one time. 1 to 1,000,000,000. */
  readonly max: number
  /** @default "client" */
  readonly key?: Key
}

/** The same with every default filled in. */
export interface ConcurrencyLimitSpec<Key = KeySpec> {
  readonly max: number
  readonly key: Key
}

/**
 * Bytes per second: a number, or `"512 KiB"`, `"1 MB"`, `"10 MiB/s"`. 1 KB is 1000 bytes, 1 KiB is 1024. 1 byte to
 * 1 TB per second.
 */
export type ByteRate = number | string

export interface BandwidthOptions {
  /** From the client. @default no limit */
  readonly up?: ByteRate
  /** To the client. @default no limit */
  readonly down?: ByteRate
  /** Connections that share it. @default each connection has its own */
  readonly key?: NamedKey
}

/** Bytes per second as numbers. */
export interface BandwidthSpec {
  readonly up: number | undefined
  readonly down: number | undefined
  readonly key: KeySpec | undefined
}
