// Upstreams that are written as a Service's name: those of the folder lead to its endpoints, as routes do.
import type { Surroundings } from "../manifests/document.ts"
import { EndpointIndex, endpointsOf, isTcp, type Endpoints, type Service } from "../kubernetes/endpoints.ts"
import type { Objects } from "../kubernetes/objects.ts"
import type { NotFound } from "./references.ts"
import type { Upstream } from "./upstream.ts"

export interface ServiceUpstream {
  /** `default/db:5432` */
  readonly name: string
  /** As the URL has it: what the certificate of a `tls://` upstream is for. */
  readonly host: string
  readonly endpoints: Endpoints
}

/** `db.default`, `db.default.svc`, `db.default.svc.cluster.local` */
const SERVICE = /^([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)\.([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(?:\.svc(\.cluster\.local)?)?\.?$/

export class ServiceUpstreams {
  private readonly objects: Objects
  private readonly surroundings: Surroundings
  private index: EndpointIndex | undefined

  constructor(objects: Objects, surroundings: Surroundings) {
    this.objects = objects
    this.surroundings = surroundings
  }

  /** Whether it is written as the names of Services are. */
  static mayBe(upstream: Upstream): boolean {
    return upstream.kind === "target" && SERVICE.test(upstream.host)
  }

  /** `undefined` for what is no Service of the folder: the DNS may know it. */
  find(upstream: Upstream): ServiceUpstream | NotFound | undefined {
    if (upstream.kind !== "target") return undefined
    const { host, port } = upstream
    const [, name, namespace] = SERVICE.exec(host) ?? []
    if (name === undefined || namespace === undefined) return undefined
    const service = this.objects.find("Service", namespace, name)
    // A name that leads elsewhere is the DNS's to know.
    if (service === undefined || service.body.spec.type === "ExternalName") return undefined
    return this.of(service, host, port)
  }

  private of(service: Service, host: string, number: number): ServiceUpstream | NotFound {
    const { name, namespace } = service.metadata
    const { ports = [] } = service.body.spec
    const full = `${namespace}/${name}:${number}`
    const port = ports.find((one) => one.port === number && isTcp(one.protocol))
    if (port === undefined) {
      const known = ports.filter(({ protocol }) => isTcp(protocol)).map((one) => one.port)
      const shown = known.length === 0 ? "it has no TCP port" : `it has ${known.join(", ")}`
      return { problem: `Service ${namespace}/${name} has no TCP port ${number}; ${shown}`, hint: undefined }
    }
    this.index ??= new EndpointIndex(this.objects, this.surroundings)
    const sources = this.index.sources(service, `${namespace}/${name}`)
    return { name: full, host, endpoints: endpointsOf(service, port, sources, `Service ${full}`) }
  }
}
