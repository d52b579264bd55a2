// The options of a listener: what is not its URL in `{ url, ... }`. They belong to the listener, whichever file and
// whichever of its names they were written with.
import { describe } from "./describe.ts"
import { readBandwidth, readConcurrencyLimit, readRateLimit } from "./limit-options.ts"
import {
  LimitInvalid,
  type BandwidthOptions,
  type BandwidthSpec,
  type ConcurrencyLimitOptions,
  type ConcurrencyLimitSpec,
  type RateLimitOptions,
  type RateLimitSpec,
} from "./limits.ts"
import { readProxySenders, type ProxyProtocolOptions, type ProxySenders } from "./proxy-senders.ts"

/** What people write. */
export interface ListenerOptions {
  /** Connections of this listener at one time; further clients wait in the backlog. 1 to 1,000,000. @default the gateway's own cap */
  readonly maxConnections?: number
  /** Connections that may come; further clients are closed at once, as `limit-reached`. @default no limit */
  readonly rateLimit?: RateLimitOptions
  /** Connections at one time of each client; further ones are closed at once, as `limit-reached`. @default no limit */
  readonly concurrencyLimit?: ConcurrencyLimitOptions
  /** Bytes per second; what comes faster waits. @default no limit */
  readonly bandwidth?: BandwidthOptions
  /** Believe the PROXY headers of these load balancers: `connection.client` is who connected to them. @default nobody's */
  readonly proxyProtocol?: ProxyProtocolOptions
}

/** The same, checked; `undefined` where nothing was written. */
export interface ListenerSettings {
  readonly maxConnections: number | undefined
  readonly rateLimit: RateLimitSpec | undefined
  readonly concurrencyLimit: ConcurrencyLimitSpec | undefined
  readonly bandwidth: BandwidthSpec | undefined
  readonly proxyProtocol: ProxySenders | undefined
}

export const LISTENER_OPTIONS = [
  "maxConnections",
  "rateLimit",
  "concurrencyLimit",
  "bandwidth",
  "proxyProtocol",
] as const satisfies (keyof ListenerSettings)[]

export const NO_SETTINGS: ListenerSettings = Object.freeze({
  maxConnections: undefined,
  rateLimit: undefined,
  concurrencyLimit: undefined,
  bandwidth: undefined,
  proxyProtocol: undefined,
})

/** @throws LimitInvalid, ProxySendersInvalid, naming `what` */
export function readListenerOptions(
  what: string,
  onUnix: boolean,
  options: { readonly [Name in keyof ListenerOptions]?: unknown },
): ListenerSettings {
  const { maxConnections, rateLimit, concurrencyLimit, bandwidth, proxyProtocol } = options
  return {
    maxConnections: maxConnections === undefined ? undefined : connections(`${what}: maxConnections`, maxConnections),
    rateLimit: rateLimit === undefined ? undefined : readRateLimit(`${what}: rateLimit`, rateLimit),
    concurrencyLimit:
      concurrencyLimit === undefined ? undefined : readConcurrencyLimit(`${what}: concurrencyLimit`, concurrencyLimit),
    bandwidth: bandwidth === undefined ? undefined : readBandwidth(`${what}: bandwidth`, bandwidth),
    proxyProtocol:
      proxyProtocol === undefined ? undefined : readProxySenders(`${what}: proxyProtocol`, proxyProtocol, onUnix),
  }
}

function connections(what: string, value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 1_000_000) return value
  throw new LimitInvalid(`${what}: expected a whole number from 1 to 1,000,000, found ${describe(value)}`)
}

/** Those of a listener that is named twice: what the first says nothing of is the second's. */
export function mergeSettings(first: ListenerSettings, second: ListenerSettings): ListenerSettings {
  return {
    maxConnections: first.maxConnections ?? second.maxConnections,
    rateLimit: first.rateLimit ?? second.rateLimit,
    concurrencyLimit: first.concurrencyLimit ?? second.concurrencyLimit,
    bandwidth: first.bandwidth ?? second.bandwidth,
    proxyProtocol: first.proxyProtocol ?? second.proxyProtocol,
  }
}
