// Routes: which listeners each attaches to, what it does there, and what is said of it. The other half of the compiler,
// listeners and what they refer to, is done before.
import type { Compiled, Surroundings } from "../manifests/document.ts"
import type { ListenerState } from "./listener-state.ts"
import type { Objects } from "./objects.ts"
import type { Policies } from "./policies.ts"

/**
 * Attaches every route to its parents. Gives the parts of the files that hold routes (rules, and the pools that they lead
 * to) and the states of TCPRoutes, TLSRoutes, the routes that are not served, and BackendTLSPolicies. Counts
 * `attachedRoutes` of the listeners, so statuses of Gateways and ListenerSets are made after it; so are those of
 * TidegatePolicies, of which it may reject what cannot be carried out.
 *
 * The rules of routes have `last`, so that policies without `listen` are asked before them. None is made for a name that a
 * listener has and no route: whoever makes the listeners adds one with `last` to each that answers `next` (it may come
 * before those of routes), so that it is bound, and so that no less specific listener is asked in its place.
 */
export function attachRoutes(
  _objects: Objects,
  _listeners: readonly ListenerState[],
  _policies: Policies,
  _surroundings: Surroundings,
): Compiled {
  return { parts: new Map(), objects: [] }
}
