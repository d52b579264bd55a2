// Where a Service's port leads: the addresses of its EndpointSlices, else of its Endpoints, else names.
import { formatHostPort, formatIp, parseIp } from "../../policy/address.ts"
import type { PoolTarget } from "../../policy/pool.ts"
import { isHostName } from "../../policy/target.ts"
import type { Surroundings } from "../manifests/document.ts"
import type { Objects } from "./objects.ts"
import type { EndpointSliceBody, ObjectOf, ServiceBody } from "./types.ts"

export type Service = ObjectOf<"Service">
export type ServicePort = NonNullable<ServiceBody["spec"]["ports"]>[number]
type Slice = ObjectOf<"EndpointSlice">
type Endpoint = NonNullable<EndpointSliceBody["endpoints"]>[number]

/** Which Service an EndpointSlice belongs to. */
export const SERVICE_NAME = "kubernetes.io/service-name"

/** A target without its scheme, which says whether it is encrypted. */
export interface Place {
  readonly hostPort: string
  /** A name, which is asked for again and again. */
  readonly isName: boolean
  readonly priority: number
}

export interface Endpoints {
  /** In the order of their documents, each once. */
  readonly places: readonly Place[]
  /** Why there are none. */
  readonly missing: string | undefined
}

export class EndpointIndex {
  private readonly objects: Objects
  private readonly surroundings: Surroundings
  private readonly slices = new Map<string, Slice[]>()

  constructor(objects: Objects, surroundings: Surroundings) {
    this.objects = objects
    this.surroundings = surroundings
    for (const slice of objects.all("EndpointSlice")) {
      const key = keyOfSlice(slice)
      if (key === undefined) continue
      const known = this.slices.get(key)
      if (known === undefined) this.slices.set(key, [slice])
      else known.push(slice)
    }
  }

  /**
   * What says where the Service leads: its slices, else its Endpoints, else the names that the cluster's DNS, or that of
   * whatever else runs the containers, knows it by. As long as these are the same, so is {@link endpointsOf}.
   * @param key `namespace/name`
   */
  sources({ metadata: { name, namespace } }: Service, key: string): Sources {
    const slices = this.slices.get(key)
    if (slices !== undefined) return slices
    const endpoints = this.objects.find("Endpoints", namespace, name)
    return endpoints === undefined ? this.surroundings.serviceHosts(namespace, name) : [endpoints]
  }
}

/** All of one kind. */
export type Sources = readonly (Slice | ObjectOf<"Endpoints"> | string)[]

const sliceKeys = new WeakMap<Slice, string>()

function keyOfSlice(slice: Slice): string | undefined {
  const known = sliceKeys.get(slice)
  if (known !== undefined) return known
  const service = slice.metadata.labels[SERVICE_NAME]
  if (service === undefined) return undefined
  const key = `${slice.metadata.namespace}/${service}`
  sliceKeys.set(slice, key)
  return key
}

/** @param title how messages call the Service's port */
export function endpointsOf(service: Service, port: ServicePort, sources: Sources, title: string): Endpoints {
  const slices: Slice[] = []
  const hosts: string[] = []
  for (const source of sources) {
    if (typeof source === "string") hosts.push(source)
    else if (source.kind === "Endpoints") return ofEndpoints(source, port, title)
    else slices.push(source)
  }
  return slices.length > 0 ? ofSlices(slices, port, title) : byName(service, port, hosts, title)
}

function byName({ body }: Service, port: ServicePort, hosts: readonly string[], title: string): Endpoints {
  // A name of a headless Service leads to the pods themselves, which listen on their own port.
  const isHeadless = body.spec.clusterIP === "None"
  const number = isHeadless && typeof port.targetPort === "number" ? port.targetPort : port.port
  const places = hosts.map((host, priority) => placeOf(host, number, priority)).filter((place) => place !== undefined)
  return { places, missing: places.length > 0 ? undefined : `${title} has neither an EndpointSlice nor a name` }
}

function ofSlices(slices: readonly Slice[], port: ServicePort, title: string): Endpoints {
  const ready = new Map<string, Place>()
  // As kube-proxy has it: those that are being shut down and still serve, when nobody else does.
  const leaving = new Map<string, Place>()
  let known = 0
  let hasPort = false
  for (const { body } of slices) {
    const number = portOfSlice(body, port)
    if (number === undefined) continue
    hasPort = true
    for (const endpoint of body.endpoints ?? []) {
      known++
      const into = isReady(endpoint) ? ready : isLeaving(endpoint) ? leaving : undefined
      if (into !== undefined) for (const address of endpoint.addresses) add(into, address, number)
    }
  }
  const places = [...(ready.size > 0 ? ready : leaving).values()]
  if (places.length > 0) return { places, missing: undefined }
  if (!hasPort) return { places, missing: `no EndpointSlice of ${title} has ${portName(port)}${portsOf(slices)}` }
  return { places, missing: `${title} has no ready endpoint${known === 0 ? "" : ` of ${known}`}` }
}

/** Unknown counts as ready (discovery.k8s.io/v1). */
function isReady({ conditions }: Endpoint): boolean {
  return conditions?.ready ?? true
}

function isLeaving({ conditions }: Endpoint): boolean {
  return conditions?.serving === true && conditions.terminating === true
}

/** Ports of slices and Services belong together by name; one without a number is every port, so the Service's own. */
function portOfSlice({ ports = [] }: EndpointSliceBody, port: ServicePort): number | undefined {
  const found = ports.find(({ name, protocol }) => (name ?? "") === (port.name ?? "") && isTcp(protocol))
  if (found === undefined) return undefined
  return found.port ?? (typeof port.targetPort === "number" ? port.targetPort : port.port)
}

function portName({ name = "" }: ServicePort): string {
  return name === "" ? "a TCP port without a name" : `a TCP port named ${JSON.stringify(name)}`
}

/** 5: enough to see what was meant. */
const MOST_NAMES = 5

function portsOf(slices: readonly Slice[]): string {
  const names = new Set(slices.flatMap(({ body }) => (body.ports ?? []).map(({ name }) => JSON.stringify(name ?? ""))))
  return names.size === 0 ? "; they have no ports" : `; they have ${[...names].slice(0, MOST_NAMES).join(", ")}`
}

function ofEndpoints({ body }: ObjectOf<"Endpoints">, port: ServicePort, title: string): Endpoints {
  const found = new Map<string, Place>()
  for (const { addresses = [], ports = [] } of body.subsets ?? []) {
    const own = ports.find(({ name, protocol }) => (name ?? "") === (port.name ?? "") && isTcp(protocol))
    if (own !== undefined) for (const { ip } of addresses) add(found, ip, own.port)
  }
  const places = [...found.values()]
  return { places, missing: places.length > 0 ? undefined : `the Endpoints of ${title} have no ready address` }
}

export function isTcp(protocol: string | undefined): boolean {
  return protocol === undefined || protocol === "TCP"
}

function add(places: Map<string, Place>, address: string, port: number): void {
  const place = placeOf(address, port, 0)
  if (place !== undefined && !places.has(place.hostPort)) places.set(place.hostPort, place)
}

/** `undefined` for what is neither an address nor a name. */
function placeOf(host: string, port: number, priority: number): Place | undefined {
  const ip = parseIp(host)
  if (ip !== undefined) return { hostPort: formatHostPort(formatIp(ip), port), isName: false, priority }
  if (!isHostName(host)) return undefined
  return { hostPort: `${host.replace(/\.$/, "").toLowerCase()}:${port}`, isName: true, priority }
}

/** @param encrypted whether the gateway speaks TLS to it */
export function targetOf({ hostPort, isName, priority }: Place, encrypted: boolean): PoolTarget {
  const rest = priority === 0 ? {} : { priority }
  if (!isName) return { url: `${encrypted ? "tls" : "tcp"}://${hostPort}`, ...rest }
  return { url: `dns://${hostPort}`, ...(encrypted ? { tls: true } : {}), ...rest }
}
