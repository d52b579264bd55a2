// Hostnames of listeners and of routes: what both serve, and which goes before which. `*` stands for one label or more,
// and never matches the bare name. `undefined` matches every name, and none.

export type Hostname = string | undefined

/** As listeners match names: lower case, without a final dot. */
export function normalHostname(name: string): string {
  return (name.endsWith(".") ? name.slice(0, -1) : name).toLowerCase()
}

function isWildcard(name: string): boolean {
  return name.startsWith("*.")
}

/** Whether everything that `inner` matches is matched by `outer`. */
export function covers(outer: Hostname, inner: Hostname): boolean {
  if (outer === undefined || outer === inner) return true
  // What follows the asterisk begins with a dot, so that the bare name is none of its names.
  return inner !== undefined && isWildcard(outer) && inner.endsWith(outer.slice(1))
}

/** What both match: the more specific one, or `false` where there is none. Two patterns overlap in no other way. */
export function intersection(a: Hostname, b: Hostname): Hostname | false {
  if (covers(a, b)) return b
  return covers(b, a) ? a : false
}

/** Below 0 where `a` is the more specific one: exact before wildcard, longer before shorter, any last. */
export function bySpecificity(a: Hostname, b: Hostname): number {
  return rankOf(b) - rankOf(a)
}

/** 254: above the longest name (RFC 1035 section 3.1), so that every exact one goes before every wildcard. */
const EXACT = 254

function rankOf(name: Hostname): number {
  if (name === undefined) return -1
  return isWildcard(name) ? name.length : EXACT + name.length
}
