// Which listeners a route may attach to, parent by parent, and why not to others.
import { suggest } from "../../policy/suggest.ts"
import { isFalse, type Said } from "./conditions.ts"
import { bySpecificity, intersection, normalHostname, type Hostname } from "./hostnames.ts"
import type { ListenerState } from "./listener-state.ts"
import { GATEWAY_GROUP, titleOf, type Objects } from "./objects.ts"
import type { ObjectOf, ParentReference } from "./types.ts"

export type AnyRoute =
  | ObjectOf<"TCPRoute">
  | ObjectOf<"TLSRoute">
  | ObjectOf<"HTTPRoute">
  | ObjectOf<"GRPCRoute">
  | ObjectOf<"UDPRoute">

/** What a route and a listener serve together. */
export interface Match {
  readonly listener: ListenerState
  /** What both match, with the hostname of the route that it comes from; one of `undefined` for TCP. */
  readonly names: readonly { readonly pattern: Hostname; readonly hostname: Hostname }[]
}

/** A parent that is ours. */
export interface Parent {
  /** Where it stands in `spec.parentRefs`. */
  readonly index: number
  readonly ref: ParentReference
  /** Where it attaches; empty where {@link refusal} says why. */
  readonly matches: readonly Match[]
  readonly refusal: Said | undefined
}

/** A parent that does not exist, or serves nothing. Others are somebody else's, and nothing is said of them. */
export interface Orphan {
  readonly index: number
  readonly message: string
}

export class Parents {
  private readonly objects: Objects
  private readonly byOwner = new Map<ListenerState["owner"], ListenerState[]>()

  constructor(objects: Objects, listeners: readonly ListenerState[]) {
    this.objects = objects
    for (const listener of listeners) {
      const known = this.byOwner.get(listener.owner)
      if (known === undefined) this.byOwner.set(listener.owner, [listener])
      else known.push(listener)
    }
  }

  of(route: AnyRoute): { readonly parents: readonly Parent[]; readonly orphans: readonly Orphan[] } {
    const parents: Parent[] = []
    const orphans: Orphan[] = []
    const refs = route.body.spec.parentRefs ?? []
    for (let index = 0; index < refs.length; index++) {
      const ref = refs[index]!
      const { group = GATEWAY_GROUP, kind = "Gateway", name, namespace = route.metadata.namespace } = ref
      if (group !== GATEWAY_GROUP || (kind !== "Gateway" && kind !== "ListenerSet")) continue
      const owner = this.objects.find(kind, namespace, name)
      if (owner === undefined) {
        orphans.push({ index, message: `there is no ${kind} ${namespace}/${name}` })
        continue
      }
      const listeners = this.byOwner.get(owner)
      if (listeners !== undefined) parents.push(parentOf(route, ref, index, owner, listeners))
      else orphans.push({ index, message: `${titleOf(owner)} is part of no Gateway, so nothing attaches to it` })
    }
    return { parents, orphans }
  }
}

const NO_HOSTNAMES: readonly string[] = Object.freeze([])

function parentOf(
  route: AnyRoute,
  ref: ParentReference,
  index: number,
  owner: ListenerState["owner"],
  listeners: readonly ListenerState[],
): Parent {
  const { port, sectionName } = ref
  const refused = (reason: string, message: string): Parent => {
    return { index, ref, matches: [], refusal: isFalse("Accepted", reason, message) }
  }
  // One pass for what is fine, as nearly all is: there may be tens of thousands of routes.
  const meant: ListenerState[] = []
  for (const listener of listeners) {
    if (sectionName !== undefined && listener.spec.name !== sectionName) continue
    if (port === undefined || listener.port === port) meant.push(listener)
  }
  if (meant.length === 0) return refused("NoMatchingParent", noMatch(ref, owner, listeners))
  const { kind } = route
  if (kind !== "TCPRoute" && kind !== "TLSRoute")
    return refused(
      "NotAllowedByListeners",
      `This gateway works at layer 4 and serves no ${kind}: attach a TCPRoute to a TCP listener, or a TLSRoute to a TLS one`,
    )
  const { namespace } = route.metadata
  const hostnames = kind === "TLSRoute" ? (route.body.spec.hostnames ?? NO_HOSTNAMES) : NO_HOSTNAMES
  const matches: Match[] = []
  const open: ListenerState[] = []
  for (const listener of meant) {
    if (!listener.kinds.includes(kind) || !listener.allows(namespace)) continue
    open.push(listener)
    const names = together(hostnames, listener.hostname)
    if (names.length > 0) matches.push({ listener, names })
  }
  if (matches.length > 0) return { index, ref, matches, refusal: undefined }
  if (open.length === 0)
    return refused("NotAllowedByListeners", list(meant.map((listener) => notAllowed(kind, namespace, listener))))
  const theirs = list(open.map(({ hostname = "any", spec }) => `${spec.name}: ${hostname}`))
  return refused(
    "NoMatchingListenerHostname",
    `No listener has a hostname in common with ${list(hostnames)}; listeners have ${theirs}`,
  )
}

/** Of two hostnames of a route that come to the same pattern the more specific one counts. */
function together(hostnames: readonly string[], own: Hostname): Match["names"] {
  if (hostnames.length === 0) return [{ pattern: own, hostname: undefined }]
  if (hostnames.length === 1) {
    const hostname = normalHostname(hostnames[0]!)
    const pattern = intersection(own, hostname)
    return pattern === false ? [] : [{ pattern, hostname }]
  }
  const found = new Map<Hostname, Hostname>()
  for (const written of hostnames) {
    const hostname = normalHostname(written)
    const pattern = intersection(own, hostname)
    if (pattern === false) continue
    if (!found.has(pattern) || bySpecificity(hostname, found.get(pattern)) < 0) found.set(pattern, hostname)
  }
  return [...found].map(([pattern, hostname]) => ({ pattern, hostname }))
}

function noMatch(
  { port, sectionName }: ParentReference,
  owner: ListenerState["owner"],
  listeners: readonly ListenerState[],
): string {
  const wanted = [
    ...(sectionName === undefined ? [] : [`the name ${JSON.stringify(sectionName)}`]),
    ...(port === undefined ? [] : [`port ${port}`]),
  ].join(" and ")
  const known = list(listeners.map((listener) => `${listener.spec.name} (port ${listener.port})`))
  const near = sectionName === undefined ? undefined : suggest(sectionName, names(listeners))
  const meant = near === undefined || near === sectionName ? "" : `; did you mean ${JSON.stringify(near)}?`
  return `No listener of ${titleOf(owner)} has ${wanted}; it has ${known}${meant}`
}

function names(listeners: readonly ListenerState[]): readonly string[] {
  return listeners.map(({ spec }) => spec.name)
}

function notAllowed(kind: "TCPRoute" | "TLSRoute", namespace: string, listener: ListenerState): string {
  const { kinds, spec } = listener
  const what = `listener ${spec.name} (${spec.protocol}${listener.mode === undefined ? "" : `, ${listener.mode}`})`
  if (kinds.includes(kind))
    return `${what} takes no routes of the namespace ${namespace}: see its allowedRoutes.namespaces`
  const wanted = kind === "TCPRoute" ? "TCP" : "TLS"
  if (spec.protocol !== wanted) return `${what} takes no ${kind}, which needs a listener of the protocol ${wanted}`
  return `${what} takes no ${kind}: see its allowedRoutes.kinds`
}

/** 10: a message is read by people. */
const MOST_LISTED = 10

export function list(items: readonly string[]): string {
  const more = items.length - MOST_LISTED
  const shown = items.slice(0, MOST_LISTED).join(", ")
  return more > 0 ? `${shown} and ${more} more` : shown
}
