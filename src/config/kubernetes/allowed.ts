// What a listener allows: routes of which kinds, and whatever attaches from which namespaces.
import { didYouMean } from "../../policy/suggest.ts"
import { GATEWAY_GROUP, type Objects } from "./objects.ts"
import type { RouteKind } from "./listener-state.ts"
import type { GatewayListener, LabelSelector, NamespaceFilter } from "./types.ts"
import type { Unresolved } from "./references.ts"

/** What each protocol takes by itself. Those of others are right there, and not served. */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  TCP: ["TCPRoute"],
  TLS: ["TLSRoute"],
  HTTP: ["HTTPRoute", "GRPCRoute"],
  HTTPS: ["HTTPRoute", "GRPCRoute"],
  UDP: ["UDPRoute"],
}
/** What we serve, by protocol. */
const SERVED: Readonly<Record<string, RouteKind>> = { TCP: "TCPRoute", TLS: "TLSRoute" }

/** Whether a protocol is one of ours. */
export function isServed(protocol: string): protocol is "TCP" | "TLS" {
  return Object.hasOwn(SERVED, protocol)
}

/** Why a listener of this protocol is not served. */
export function unsupported(protocol: string): string {
  const instead: Readonly<Record<string, string>> = {
    HTTP: "protocol TCP with a TCPRoute passes HTTP through unread",
    HTTPS: "protocol TLS with a TLSRoute ends TLS, or passes it through, without reading the HTTP in it",
    UDP: "UDP is not relayed",
  }
  const why = instead[protocol] ?? `expected TCP or TLS${didYouMean(protocol.toUpperCase(), ["TCP", "TLS"])}`
  return `The protocol ${protocol} is not served by a gateway at layer 4: ${why}`
}

export interface AllowedKinds {
  readonly kinds: readonly RouteKind[]
  readonly problem: Unresolved | undefined
}

/** `allowedRoutes.kinds`, or what the protocol takes. */
export function allowedKinds({ allowedRoutes, protocol }: GatewayListener): AllowedKinds {
  const served = isServed(protocol) ? SERVED[protocol]! : undefined
  const own = served === undefined ? [] : [served]
  const wanted = allowedRoutes?.kinds ?? []
  if (wanted.length === 0) return { kinds: own, problem: undefined }
  const compatible = KINDS[protocol] ?? []
  const wrong = wanted.filter(
    ({ group, kind }) => (group ?? GATEWAY_GROUP) !== GATEWAY_GROUP || !compatible.includes(kind),
  )
  const kinds = own.filter((kind) => wanted.some((one) => one.kind === kind && !wrong.includes(one)))
  if (wrong.length === 0) return { kinds, problem: undefined }
  const shown = wrong.map(({ group, kind }) =>
    (group ?? GATEWAY_GROUP) === GATEWAY_GROUP ? kind : `${kind} of ${JSON.stringify(group)}`,
  )
  const takes = compatible.length === 0 ? "no kind of route that is known here" : compatible.join(" and ")
  const message = `allowedRoutes.kinds: a listener of protocol ${protocol} takes ${takes}, found ${shown.join(", ")}`
  return { kinds, problem: { reason: "InvalidRouteKinds", message } }
}

/** Whether what is in a namespace may attach to what is in `own`. */
export function namespaceFilter(
  objects: Objects,
  filter: NamespaceFilter | undefined,
  own: string,
  otherwise: "Same" | "None",
): (namespace: string) => boolean {
  const from = filter?.from ?? otherwise
  if (from === "All") return () => true
  if (from === "Same") return (namespace) => namespace === own
  if (from === "None") return () => false
  const selector = filter?.selector
  // Without a selector nothing is selected.
  if (selector === undefined) return () => false
  const known = new Map<string, boolean>()
  return (namespace) => {
    let allowed = known.get(namespace)
    if (allowed === undefined) known.set(namespace, (allowed = selects(selector, objects.namespaceLabels(namespace))))
    return allowed
  }
}

/** metav1.LabelSelector: all that it says has to hold; an empty one selects everything. */
export function selects(
  { matchExpressions = [], matchLabels = {} }: LabelSelector,
  labels: Readonly<Record<string, string>>,
): boolean {
  for (const [key, value] of Object.entries(matchLabels)) if (own(labels, key) !== value) return false
  return matchExpressions.every(({ key, operator, values = [] }) => {
    const value = own(labels, key)
    switch (operator) {
      case "In":
        return value !== undefined && values.includes(value)
      case "NotIn":
        return value === undefined || !values.includes(value)
      case "Exists":
        return value !== undefined
      case "DoesNotExist":
        return value === undefined
    }
  })
}

function own(labels: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined
}
