// The options of a route that is carried out: its own, and below them those of its pool.
import type { Route } from "../policy/decision.ts"
import type { BandwidthSpec } from "../policy/limits.ts"
import type { PoolSpec } from "../policy/pool.ts"
import type { UpstreamTls } from "../policy/upstream-tls.ts"

/** Durations in milliseconds. */
export interface RouteSettings {
  readonly connectTimeout?: number | undefined
  readonly idleTimeout?: number | undefined
  readonly maxDuration?: number | undefined
  readonly proxyProtocol?: 1 | 2 | undefined
  readonly tls?: UpstreamTls | undefined
  readonly bandwidth?: BandwidthSpec | undefined
}

/** Routes are built once and asked for on every connection. */
const merged = new WeakMap<Route, { readonly spec: PoolSpec; readonly settings: RouteSettings }>()

export function settingsOf(route: Route, spec: PoolSpec | undefined): RouteSettings {
  if (spec === undefined) return route
  let known = merged.get(route)
  if (known?.spec !== spec) {
    const { bandwidth, connectTimeout, idleTimeout, maxDuration, proxyProtocol, tls } = spec
    known = { spec, settings: { bandwidth, connectTimeout, idleTimeout, maxDuration, proxyProtocol, tls, ...route } }
    merged.set(route, known)
  }
  return known!.settings
}
