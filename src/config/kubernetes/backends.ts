// What routes refer to: each reference looked up and judged, and what becomes of connections that are to go there.
import { deny, poolRoute, type Decision } from "../../policy/decision.ts"
import type { Pool, PoolSpec } from "../../policy/pool.ts"
import { didYouMean } from "../../policy/suggest.ts"
import type { UpstreamTls } from "../../policy/upstream-tls.ts"
import type { Surroundings } from "../manifests/document.ts"
import { digestOf } from "../module-graph.ts"
import { poolSpec } from "../pool-spec.ts"
import type { BackendTls } from "./backend-tls.ts"
import type { Effective, Route } from "./effective.ts"
import { isSameList } from "../compile.ts"
import {
  EndpointIndex,
  endpointsOf,
  isTcp,
  targetOf,
  type Endpoints,
  type Service,
  type ServicePort,
  type Sources,
} from "./endpoints.ts"
import type { ListenerState } from "./listener-state.ts"
import { GATEWAY_GROUP, titleOf, type Objects } from "./objects.ts"
import { serviceOptions, type ServiceOptions } from "./service-options.ts"
import type { BackendReference } from "./types.ts"

/** Reasons of `ResolvedRefs`. */
export type BadReason = "RefNotPermitted" | "InvalidKind" | "BackendNotFound" | "UnsupportedProtocol"

/** Where a reference leads. */
export type Backend =
  | { readonly problem: { readonly reason: BadReason; readonly message: string }; readonly found: undefined }
  | { readonly problem: undefined; readonly found: Found }

/** A port of a Service. */
export interface Found {
  /** `default/db:5432` */
  readonly name: string
  readonly service: Service
  readonly port: ServicePort
  readonly endpoints: Endpoints
}

/** What becomes of connections: they go to a pool, or are refused. */
export interface Destination {
  decide(): Decision
  /** Another one for another pool, or another reason to refuse; no secret. */
  readonly key: string
  readonly pool: { readonly name: string; spec(): PoolSpec } | undefined
}

/** 10 suggestions among 1,000 names each: some milliseconds. */
const MOST_SUGGESTIONS = 10
const MOST_NAMES = 1000

/** What was found of a Service, for as long as its object and what it leads by are the same. */
interface Looked {
  readonly key: string
  readonly ports: Map<number | undefined, { readonly sources: Sources; readonly backend: Backend }>
}

const looked = new WeakMap<Service, Looked>()
/** Where a port of a Service leads that no policy says anything of. */
const plain = new WeakMap<Found, Destination>()

export class Backends {
  private readonly objects: Objects
  private readonly endpoints: EndpointIndex
  private readonly backendTls: BackendTls
  private readonly destinations = new Map<string, Destination>()
  private readonly annotations = new Map<Service, ServiceOptions | undefined>()
  private suggested = 0
  private names: Map<string, string[]> | undefined

  constructor(objects: Objects, backendTls: BackendTls, surroundings: Surroundings) {
    this.objects = objects
    this.backendTls = backendTls
    this.endpoints = new EndpointIndex(objects, surroundings)
  }

  resolve(route: Route, reference: BackendReference): Backend {
    const { group = "", kind = "Service", name, namespace = route.metadata.namespace, port } = reference
    if (group !== "" || kind !== "Service") {
      const what = `${kind}${group === "" ? "" : `.${group}`} ${name}`
      return bad("InvalidKind", `${what} is no Service: routes lead to Services, \`kind: Service\` with \`group: ""\``)
    }
    const isOwn = namespace === route.metadata.namespace
    const referrer = { fromGroup: GATEWAY_GROUP, fromKind: route.kind, fromNamespace: route.metadata.namespace }
    if (!isOwn && !this.objects.isGranted(referrer, { group, kind, namespace, name }))
      return bad(
        "RefNotPermitted",
        `Service ${namespace}/${name} is in another namespace, where no ReferenceGrant lets a ${route.kind} of ${referrer.fromNamespace} refer to it`,
      )
    const service = this.objects.find("Service", namespace, name)
    if (service === undefined)
      return bad("BackendNotFound", `There is no Service ${namespace}/${name}${this.meant(namespace, name)}`)
    let known = looked.get(service)
    if (known === undefined) looked.set(service, (known = { key: `${namespace}/${name}`, ports: new Map() }))
    const sources = this.endpoints.sources(service, known.key)
    const before = known.ports.get(port)
    if (before !== undefined && isSameList(before.sources, sources)) return before.backend
    const backend = portOf(service, port, sources)
    known.ports.set(port, { sources, backend })
    return backend
  }
  /** A slip of the hand is looked for in all names of the namespace, so not for everybody. */
  private meant(namespace: string, name: string): string {
    if (this.suggested++ >= MOST_SUGGESTIONS) return ""
    if (this.names === undefined) {
      this.names = new Map()
      for (const { metadata } of this.objects.all("Service")) {
        const known = this.names.get(metadata.namespace)
        if (known === undefined) this.names.set(metadata.namespace, [metadata.name])
        else known.push(metadata.name)
      }
    }
    return didYouMean(name, (this.names.get(namespace) ?? []).slice(0, MOST_NAMES))
  }

  /** What the annotations of a Service say. */
  annotated(service: Service): ServiceOptions | undefined {
    const { annotations } = service.metadata
    // Nearly all have none.
    for (const _ in annotations) {
      if (!this.annotations.has(service)) this.annotations.set(service, serviceOptions(service, this.objects))
      return this.annotations.get(service)
    }
    return undefined
  }

  /** Where connections of a listener go. TLS that passes through is not encrypted once more. */
  destination(found: Found, listener: ListenerState, effective: Effective): Destination {
    const annotated = this.annotated(found.service)
    const encryption =
      listener.mode === "Passthrough"
        ? undefined
        : (this.backendTls.of(found.service, found.port) ?? annotated?.encryption)
    if (encryption === undefined && annotated === undefined && effective.upstreamTitle === "") {
      let simple = plain.get(found)
      if (simple === undefined) plain.set(found, (simple = simpleDestination(found, effective)))
      return simple
    }
    const own =
      encryption?.tls?.certificate === undefined && encryption !== undefined ? listener.clientCertificate : undefined
    // What is special about it belongs to its name: one name is one pool, in all files.
    const tls = encryption === undefined ? "" : own === undefined ? ", tls" : `, tls of ${titleOf(listener.gateway)}`
    const special = `${effective.upstreamTitle === "" ? "" : `, ${effective.upstreamTitle}`}${tls}`
    const name = special === "" ? found.name : `${found.name} (${special.slice(2)})`
    let known = this.destinations.get(name)
    if (known !== undefined) return known
    if (encryption?.problem !== undefined) known = refused(encryption.problem)
    else if (found.endpoints.missing !== undefined) known = refused(found.endpoints.missing)
    else {
      const trust = encryption?.tls
      const certified = own === undefined ? trust : { ...trust, certificate: { cert: own.cert, key: own.key } }
      known = toPool(
        name,
        found,
        certified,
        `${encryption?.key ?? ""} ${own === undefined ? "" : digestOf(JSON.stringify(own))} ${annotated?.key ?? ""}`,
        // What a policy says goes before what the Service says.
        annotated === undefined
          ? effective
          : { ...effective, upstream: { ...annotated.options, ...effective.upstream } },
      )
    }
    this.destinations.set(name, known)
    return known
  }
}

function portOf(service: Service, number: number | undefined, sources: Sources): Backend {
  const { name, namespace } = service.metadata
  const { externalName, ports = [], type } = service.body.spec
  if (type === "ExternalName")
    return bad(
      "InvalidKind",
      `${titleOf(service)} is of type ExternalName, which any namespace could point at anything; write a Service without a selector, and an EndpointSlice of it with \`addressType: FQDN\` and the address ${externalName ?? "that it is to lead to"}`,
    )
  const known = ports.map(({ port }) => port).join(", ")
  if (number === undefined)
    return bad("BackendNotFound", `A reference to ${titleOf(service)} needs a port${known && `: it has ${known}`}`)
  const all = ports.filter(({ port }) => port === number)
  if (all.length === 0)
    return bad(
      "BackendNotFound",
      `${titleOf(service)} has no port ${number}${known === "" ? "; it has none at all" : `; it has ${known}`}`,
    )
  const port = all.find(({ protocol }) => isTcp(protocol))
  if (port === undefined)
    return bad(
      "UnsupportedProtocol",
      `The port ${number} of ${titleOf(service)} is for ${all[0]!.protocol}; this gateway carries TCP`,
    )
  const full = `${namespace}/${name}:${number}`
  const endpoints = endpointsOf(service, port, sources, `Service ${full}`)
  return { problem: undefined, found: { name: full, service, port, endpoints } }
}

function bad(reason: BadReason, message: string): Backend {
  return { problem: { reason, message }, found: undefined }
}

function simpleDestination(found: Found, effective: Effective): Destination {
  const { missing } = found.endpoints
  return missing === undefined ? toPool(found.name, found, undefined, "", effective) : refused(missing)
}

/** RST, as a target that is not there would answer. */
export function refused(reason: string): Destination {
  let decision: Decision | undefined
  return { decide: () => (decision ??= deny(reason, { reset: true })), key: reason, pool: undefined }
}

function toPool(
  name: string,
  { endpoints: { places } }: Found,
  tls: UpstreamTls | undefined,
  moreKey: string,
  { upstream, upstreamKey }: Effective,
): Destination {
  let spec: PoolSpec | undefined
  let decision: Decision | undefined
  const made = () => {
    const pool: Pool = {
      ...upstream,
      targets: places.map((place) => targetOf(place, tls !== undefined)),
      ...(tls === undefined ? {} : { tls }),
    }
    return poolSpec(name, pool)
  }
  let where = ""
  for (const { hostPort, isName, priority } of places) where += ` ${hostPort}${isName ? `@${priority}` : ""}`
  return {
    decide: () => (decision ??= poolRoute(name)),
    key: digestOf(`${name}${where} ${moreKey} ${upstreamKey}`),
    pool: { name, spec: () => (spec ??= made()) },
  }
}
