// All Kubernetes objects to what the gateway serves and what is said of each: listeners first, then the routes that attach
// to them, then statuses. A pure function of the objects and of where they run.
import type { Compiled, ObjectState, Surroundings } from "../manifests/document.ts"
import { classState } from "./gateway-class.ts"
import { gatewayState, listenerSetState } from "./gateway-status.ts"
import { readGateways, type Gateways } from "./gateways.ts"
import { listenerParts } from "./listener-rules.ts"
import { warningsOf } from "./listener-warnings.ts"
import { stateOf } from "./object-states.ts"
import { Objects } from "./objects.ts"
import { mergeParts } from "./parts.ts"
import { Policies, type AncestorStatus, type TidegatePolicy } from "./policies.ts"
import { attachRoutes } from "./routes.ts"
import type { AnyObject } from "./types.ts"

export function compileKubernetes(all: readonly AnyObject[], surroundings: Surroundings): Compiled {
  const objects = new Objects(all)
  const policies = new Policies(objects, surroundings)
  const gateways = readGateways(objects, policies, surroundings)
  const routes = attachRoutes(objects, gateways.listeners, policies, surroundings)
  const ancestors = policies.statuses()
  const own = listenerParts(gateways.listeners, warningsOf(gateways, ancestors))
  const states = statesOf(objects, gateways, ancestors, surroundings)
  return { parts: mergeParts(own, routes.parts), objects: [...states, ...routes.objects] }
}

/** Of what has a status: Services and Secrets have none that is ours. */
function statesOf(
  objects: Objects,
  { gateways, orphans }: Gateways,
  policies: ReadonlyMap<TidegatePolicy, readonly AncestorStatus[]>,
  surroundings: Surroundings,
): readonly ObjectState[] {
  return [
    ...objects.all("GatewayClass").map((object) => classState(surroundings, object)),
    ...gateways.flatMap((state) => [
      gatewayState(surroundings, state),
      ...state.sets.map((set) => listenerSetState(surroundings, set, state)),
    ]),
    ...orphans.map((set) => listenerSetState(surroundings, set, undefined)),
    ...[...policies].map(([policy, ancestors]) => stateOf(surroundings, policy, { ancestors })),
  ]
}
