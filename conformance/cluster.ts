// What a cluster would have beside the manifests of a test: the class, namespaces, certificates, backends that the
// expectations file lists; and, for every Service, pods that answer and the EndpointSlice that leads to them.
import { CONTROLLER } from "../src/config/kubernetes/tidegate-policy.ts"
import type { Addresses } from "./addresses.ts"
import { certificateObjects, type Certificate } from "./certificates.ts"
import { podName, startPod, type Pod } from "./echo.ts"
import { list, record, type Described, type Manifested, type Manifests } from "./manifest.ts"
import { certificateOf, podsOfDeployments } from "./deployments.ts"
import type { BackendWish, Supplies } from "./supplies.ts"

export const CLASS = "tidegate"

/** The suite's own namespaces, with their labels. */
const NAMESPACES: readonly (readonly [name: string, role: string])[] = [
  ["gateway-conformance-infra", "infra"],
  ["gateway-conformance-app-backend", "backend"],
  ["gateway-conformance-web-backend", "backend"],
]

export interface Cluster extends Disposable {
  /** What is to be written beside the manifests. */
  readonly objects: readonly unknown[]
  /** Of the certificates that the pods show. */
  readonly fingerprints: ReadonlySet<string>
  /** The pods that are meant by the name of a backend: of its Deployment, or of the Service. */
  podsOf(name: string): readonly Pod[]
}

interface Service {
  readonly name: string
  readonly namespace: string
  readonly selector: Readonly<Record<string, unknown>>
  readonly ports: readonly Readonly<Record<string, unknown>>[]
}

/** Starts the pods. @throws NoAddress */
export function makeCluster(
  manifests: Manifests,
  supplies: Supplies,
  certificates: readonly Certificate[],
  addresses: Addresses,
): Cluster {
  const written = manifests.objects()
  const { backends, echo } = supplies
  const wished = wishedServices(backends, written)
  const services = [...written.filter(({ kind }) => kind === "Service").map(serviceOf), ...wished.map(serviceOf)]
  const pods = podsOfDeployments(written, echo, certificates)
  for (const service of services) pods.push(...missingPods(service, pods, supplies, certificates))
  const chosen = new Map(services.map((service) => [service, pods.filter((pod) => selects(service, pod))]))
  const started = new DisposableStack()
  try {
    const at = new Map<Pod, string>()
    for (const pod of pods) {
      const ports = new Set([echo.plainPort, ...(pod.certificate === undefined ? [] : [echo.tlsPort])])
      for (const [service, members] of chosen)
        if (members.includes(pod)) for (const port of service.ports) ports.add(targetOf(port, pod))
      const address = addresses.take(ports)
      at.set(pod, address)
      started.use(startPod(pod, address, ports, echo))
    }
    const slices = [...chosen].filter(([service]) => !hasOwnSlice(service, written))
    return {
      objects: [
        ...surroundings(written),
        ...certificateObjects(certificates),
        ...wished.map(({ value }) => value),
        ...slices.map(([service, members]) => sliceOf(service, members, at)),
      ],
      fingerprints: new Set(pods.flatMap(({ certificate }) => certificate?.fingerprint ?? [])),
      podsOf(name) {
        const named = pods.filter(({ deployment }) => deployment === name)
        return named.length > 0
          ? named
          : [...chosen].flatMap(([service, members]) => (service.name === name ? members : []))
      },
      [Symbol.dispose]: () => started.dispose(),
    }
  } catch (error) {
    started.dispose()
    throw error
  }
}

function surroundings(written: readonly Manifested[]): unknown[] {
  const own = written.filter(({ kind }) => kind === "Namespace").map(({ name }) => name)
  const roles = new Map(NAMESPACES)
  for (const { kind, namespace } of written)
    if (kind !== "Namespace" && kind !== "GatewayClass") roles.set(namespace, roles.get(namespace) ?? "")
  const namespaces = [...roles].filter(([name]) => !own.includes(name))
  return [
    {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "GatewayClass",
      metadata: { name: CLASS },
      spec: { controllerName: CONTROLLER },
    },
    ...namespaces.map(([name, role]) => {
      const labels = { "kubernetes.io/metadata.name": name, ...(role === "" ? {} : { "gateway-conformance": role }) }
      return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } }
    }),
  ]
}

/** The listed backends, where they are at home and wherever a manifest refers to them, unless it brings its own. */
function wishedServices(backends: readonly BackendWish[], written: readonly Manifested[]): readonly Described[] {
  return backends.flatMap((backend) => {
    const referred = written.flatMap(({ namespace, value }) =>
      list(record(value["spec"])["rules"])
        .flatMap(({ backendRefs }) => list(backendRefs))
        .filter(({ name }) => name === backend.name)
        .map((reference) => String(reference["namespace"] ?? namespace)),
    )
    const namespaces = new Set([backend.namespace, ...referred])
    return [...namespaces]
      .filter((namespace) => !written.some((object) => isService(object, backend.name, namespace)))
      .map((namespace) => wishedService(backend, namespace, written))
  })
}

function isService({ kind, name, namespace }: Manifested, wanted: string, where: string): boolean {
  return kind === "Service" && name === wanted && namespace === where
}

function wishedService({ name, ports }: BackendWish, namespace: string, written: readonly Manifested[]): Described {
  const portName = portNames(name, written)
  const value = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace, labels: { app: name } },
    spec: {
      selector: { app: name },
      ports: [...ports].map(([port, targetPort]) => ({ name: portName(port), protocol: "TCP", port, targetPort })),
    },
  }
  return { kind: "Service", name, namespace, value }
}

/** A policy that names a port of the Service decides what its TLS port is called. */
function portNames(service: string, written: readonly Manifested[]): (port: number) => string {
  const told = written
    .filter(({ kind }) => kind === "BackendTLSPolicy")
    .flatMap(({ value }) => list(record(value["spec"])["targetRefs"]))
    .find((target) => target["name"] === service && typeof target["sectionName"] === "string")
  return (port) => (String(port).endsWith("443") ? String(told?.["sectionName"] ?? `tls-${port}`) : `tcp-${port}`)
}

function serviceOf({ name, namespace, value }: Described): Service {
  const spec = record(value["spec"])
  return { name, namespace, selector: record(spec["selector"]), ports: list(spec["ports"]) }
}

function selects({ namespace, selector }: Service, pod: Pod): boolean {
  const wanted = Object.entries(selector)
  return (
    pod.namespace === namespace && wanted.length > 0 && wanted.every(([label, value]) => pod.labels[label] === value)
  )
}

/** Of a listed backend that the selector means; else, for a Service that selects nobody, one of its own name. */
function missingPods(
  service: Service,
  pods: readonly Pod[],
  { backends, echo }: Supplies,
  certificates: readonly Certificate[],
): readonly Pod[] {
  const { name, namespace, selector } = service
  if (Object.keys(selector).length === 0 || pods.some((pod) => selects(service, pod))) return []
  const wish = backends.find((backend) => Object.values(selector).includes(backend.name))
  const deployment = wish?.name ?? name
  const labels = Object.fromEntries(Object.entries(selector).map(([label, value]) => [label, String(value)]))
  return Array.from({ length: wish?.replicas ?? 1 }, (_, i) => ({
    name: podName(echo, deployment, i),
    namespace,
    deployment,
    labels,
    kind: wish?.kind ?? "tcp-echo",
    service: name,
    certificate: certificateOf(deployment, certificates),
    portNames: new Map<string, number>(),
  }))
}

function targetOf({ port, targetPort }: Readonly<Record<string, unknown>>, pod: Pod): number {
  const target = targetPort ?? port
  return typeof target === "string" ? (pod.portNames.get(target) ?? Number(port)) : Number(target)
}

function hasOwnSlice({ name, namespace }: Service, written: readonly Manifested[]): boolean {
  return written.some((object) => {
    const { labels } = record(object.value["metadata"])
    const isOf = record(labels)["kubernetes.io/service-name"] === name
    return object.namespace === namespace && object.kind === "EndpointSlice" && isOf
  })
}

function sliceOf({ name, namespace, ports }: Service, members: readonly Pod[], at: ReadonlyMap<Pod, string>): unknown {
  const [first] = members
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${name}-replay`, namespace, labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    endpoints: members.map((pod) => ({
      addresses: [at.get(pod)],
      conditions: { ready: true, serving: true, terminating: false },
      targetRef: { kind: "Pod", name: pod.name, namespace },
    })),
    ports: ports.map((port) => ({
      name: typeof port["name"] === "string" ? port["name"] : "",
      protocol: "TCP",
      port: first === undefined ? Number(port["port"]) : targetOf(port, first),
    })),
  }
}
