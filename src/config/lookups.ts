// What expressions of manifests may look up beside the connection itself: set once by whoever opens it, empty otherwise.
import type { GeoPlace } from "../limit/geo-place.ts"
import type { Ip } from "../policy/address.ts"

export interface Lookups {
  /** Categories of an address, like `com.cloudflare.ipv4`. */
  readonly categories?: ((ip: Ip) => readonly string[]) | undefined
  /** What databases know of any address. */
  readonly place?: ((ip: Ip) => GeoPlace | undefined) | undefined
  /** What `secrets.get(vault, name)` gives. */
  readonly secret?: ((vault: string, name: string) => string | undefined) | undefined
}

let current: Lookups = {}

/** From now on expressions look up here. */
export function useLookups(lookups: Lookups): void {
  current = lookups
}

/** Those that are used at the moment. */
export const lookups: Lookups = {
  get categories() {
    return current.categories
  },
  get place() {
    return current.place
  },
  get secret() {
    return current.secret
  },
}
