// An AgentEndpoint or a CloudEndpoint in the words of Gateway API. What a policy decides by looking at a connection has
// none, and is named.
import { parseIp } from "../../policy/address.ts"
import type { Objects } from "../kubernetes/objects.ts"
import { GATEWAY_CLASS } from "../kubernetes/tidegate-policy.ts"
import type { ObjectOf } from "../kubernetes/types.ts"
import { readEndpointUrl, type EndpointUrl } from "../traffic-policy/endpoint-url.ts"
import { readUpstream } from "../traffic-policy/upstream.ts"
import { GATEWAY_API, GATEWAY_GROUP, policyObject, type Plain } from "./plain.ts"

type Endpoint = ObjectOf<"AgentEndpoint"> | ObjectOf<"CloudEndpoint">
type AgentEndpoint = ObjectOf<"AgentEndpoint">
type Note = (path: readonly PropertyKey[], message: string, hint?: string) => void
type Loose = Readonly<Record<string, unknown>>

const BY_HAND = "write it as a policy in TypeScript, or keep the endpoint: it is served as it is"

/** Nothing for an internal endpoint: those that forward to it have its upstream. */
export function endpointForms(endpoint: Endpoint, objects: Objects, note: Note): readonly Plain[] {
  const url = urlOf(endpoint)
  if (url === undefined) {
    note(["spec", "url"], "is none of tcp:// and tls://: it has no equal at layer 4")
    return []
  }
  if (url.binding === "internal") return []
  if (url.protocol === "tls" && url.host === "") {
    note(["spec", "url"], "serves every name: a TLSRoute has to list them", BY_HAND)
    return []
  }
  const { name, namespace } = endpoint.metadata
  const policy = policyOf(endpoint, objects, note)
  const targets = [...(endpoint.kind === "AgentEndpoint" ? [endpoint] : []), ...forwarded(policy.forwards, objects)]
  if (targets.length === 0) note(["spec"], "leads nowhere by itself: its route has no backends", BY_HAND)
  const backends = targets.map((target) => backendOf(target, namespace, objects, note))
  const isTls = url.protocol === "tls"
  const section = isTls ? "tls" : "tcp"
  const kind = isTls ? "TLSRoute" : "TCPRoute"
  const termination = terminationOf(endpoint, policy.terminates)
  const frontend = termination?.authorities
  const gateway: Plain = {
    apiVersion: GATEWAY_API,
    kind: "Gateway",
    metadata: { name, namespace },
    spec: {
      gatewayClassName: GATEWAY_CLASS,
      listeners: [
        {
          name: section,
          port: url.port,
          protocol: isTls ? "TLS" : "TCP",
          ...(isTls && url.host !== "" ? { hostname: url.host } : {}),
          ...(isTls ? { tls: termination?.tls ?? { mode: "Passthrough" } } : {}),
        },
      ],
      ...(parseIp(url.host) === undefined ? {} : { addresses: [{ type: "IPAddress", value: url.host }] }),
      ...(frontend === undefined
        ? {}
        : {
            tls: { frontend: { default: { validation: { caCertificateRefs: [frontend], mode: termination?.mode } } } },
          }),
    },
  }
  const refs = backends.flatMap(({ refs: of }) => of)
  const route: Plain = {
    apiVersion: GATEWAY_API,
    kind,
    metadata: { name, namespace },
    spec: {
      parentRefs: [{ name, sectionName: section }],
      ...(isTls ? { hostnames: [url.host] } : {}),
      rules: [{ backendRefs: refs }],
    },
  }
  const versions = new Set(targets.map(({ body }) => body.spec.upstream.proxyProtocolVersion))
  const [version] = versions
  if (versions.size > 1) note(["spec"], "the upstreams get different PROXY headers: a route has one", BY_HAND)
  const spec = {
    ...(policy.clients === undefined ? {} : { clients: policy.clients }),
    ...(version === undefined || versions.size > 1 ? {} : { upstream: { proxyProtocol: Number(version) } }),
  }
  return [
    gateway,
    ...(refs.length === 0 ? [] : [route]),
    ...backends.flatMap(({ objects: of }) => of),
    ...(Object.keys(spec).length === 0 ? [] : [policyObject(name, namespace, [{ kind, name }], spec)]),
  ]
}

function urlOf(endpoint: Endpoint): EndpointUrl | undefined {
  const read = readEndpointUrl(endpoint.body.spec.url, endpoint.body.spec.bindings)
  return read.kind === "ours" ? read.url : undefined
}

interface Termination {
  readonly tls: object
  readonly authorities: object | undefined
  readonly mode: "AllowValidOnly" | "AllowInsecureFallback"
}

function terminationOf(endpoint: Endpoint, byPolicy: boolean): Termination | undefined {
  const termination = endpoint.kind === "AgentEndpoint" ? endpoint.body.spec.tlsTermination : undefined
  if (termination === undefined)
    return byPolicy
      ? {
          tls: { mode: "Terminate", options: { "tidegate.dev/certificates": "store" } },
          authorities: undefined,
          mode: "AllowValidOnly",
        }
      : undefined
  const { mutualTLS, serverCertificateRef } = termination
  return {
    tls: { mode: "Terminate", certificateRefs: [{ kind: "Secret", name: serverCertificateRef.name }] },
    authorities: mutualTLS === undefined ? undefined : { group: "", kind: "Secret", name: mutualTLS.clientCAsRef.name },
    mode: mutualTLS?.mode === "request" ? "AllowInsecureFallback" : "AllowValidOnly",
  }
}

interface Simple {
  /** URLs of internal endpoints. */
  readonly forwards: readonly string[]
  readonly clients: { readonly allow?: readonly string[]; readonly deny?: readonly string[] } | undefined
  readonly terminates: boolean
}

/** As much of a policy as does not depend on the connection. */
function policyOf(endpoint: Endpoint, objects: Objects, note: Note): Simple {
  const { spec } = endpoint.body
  const named =
    spec.trafficPolicy?.targetRef?.name ?? ("trafficPolicyName" in spec ? spec.trafficPolicyName : undefined)
  const shared =
    named === undefined ? undefined : objects.find("NgrokTrafficPolicy", endpoint.metadata.namespace, named)
  if (named !== undefined && shared === undefined)
    note(["spec", "trafficPolicy"], `there is no NgrokTrafficPolicy ${endpoint.metadata.namespace}/${named}`)
  const policy = shared?.body.spec.policy ?? spec.trafficPolicy?.inline ?? spec.trafficPolicy?.policy
  const forwards: string[] = []
  const allow: string[] = []
  const deny: string[] = []
  let terminates = false
  const rules =
    isLoose(policy) && Array.isArray(policy["on_tcp_connect"]) ? policy["on_tcp_connect"].filter(isLoose) : []
  for (const rule of rules) {
    const conditional = Array.isArray(rule["expressions"]) && rule["expressions"].length > 0
    for (const action of (Array.isArray(rule["actions"]) ? rule["actions"] : []).filter(isLoose)) {
      const { config, type } = action
      const options = isLoose(config) ? config : {}
      if (conditional) note(["spec", "trafficPolicy"], `${String(type)} behind an expression is not converted`, BY_HAND)
      else if (type === "forward-internal" && isPlainText(options["url"]))
        forwards.push(String(options["url"]).toLowerCase())
      else if (type === "restrict-ips" && options["enforce"] !== false && options["ip_policies"] === undefined) {
        allow.push(...textsOf(options["allow"]))
        deny.push(...textsOf(options["deny"]))
      } else if (type === "terminate-tls" && Object.keys(options).length === 0) terminates = true
      else note(["spec", "trafficPolicy"], `${String(type)} is not converted`, BY_HAND)
    }
  }
  const clients = {
    ...(allow.length === 0 ? {} : { allow }),
    ...(deny.length === 0 ? {} : { deny }),
  }
  return { forwards, clients: Object.keys(clients).length === 0 ? undefined : clients, terminates }
}

function forwarded(urls: readonly string[], objects: Objects): AgentEndpoint[] {
  // The first one ends the policy; what stands behind it is for when it fails.
  const [first] = urls
  if (first === undefined) return []
  const read = readEndpointUrl(first, undefined)
  const wanted = read.kind === "ours" ? read.url.text : first
  return objects.all("AgentEndpoint").filter((endpoint) => urlOf(endpoint)?.text === wanted)
}

interface Backend {
  readonly refs: readonly object[]
  readonly objects: readonly Plain[]
}

/** A Service that the upstream names, or one that is made for it. */
function backendOf(
  { body: { spec }, metadata }: AgentEndpoint,
  namespace: string,
  known: Objects,
  note: Note,
): Backend {
  const read = readUpstream(spec.upstream.url)
  if (!("upstream" in read) || read.upstream.kind !== "target" || read.upstream.host === "") {
    note(["spec", "upstream", "url"], `${JSON.stringify(spec.upstream.url)} has no equal in Gateway API`, BY_HAND)
    return { refs: [], objects: [] }
  }
  const { host, port, url } = read.upstream
  const inCluster = /^([a-z0-9-]+)\.([a-z0-9-]+)(?:\.svc(?:\.cluster\.local)?)?$/.exec(host)
  const service = inCluster === null ? `${metadata.name}-upstream` : inCluster[1]!
  const home = inCluster === null ? namespace : inCluster[2]!
  if (inCluster !== null && known.find("Service", home, service) === undefined)
    note(["spec", "upstream", "url"], `leads to the Service ${home}/${service}, which is in none of these files`)
  const objects: Plain[] = []
  if (inCluster === null) objects.push(...serviceFor(service, namespace, host, port))
  if (home !== namespace) objects.push(grantFor(service, home, namespace))
  if (url.startsWith("tls:")) objects.push(encryption(service, home, host))
  const ref = { name: service, port, ...(home === namespace ? {} : { namespace: home }) }
  return { refs: [ref], objects }
}

function serviceFor(name: string, namespace: string, host: string, port: number): Plain[] {
  const ip = parseIp(host)
  const addressType = ip === undefined ? "FQDN" : host.includes(":") ? "IPv6" : "IPv4"
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace },
      spec: { ports: [{ port, protocol: "TCP" }] },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name, namespace, labels: { "kubernetes.io/service-name": name } },
      addressType,
      endpoints: [{ addresses: [host] }],
      ports: [{ port, protocol: "TCP" }],
    } as Plain,
  ]
}

function grantFor(service: string, home: string, from: string): Plain {
  return {
    apiVersion: GATEWAY_API,
    kind: "ReferenceGrant",
    metadata: { name: `${service}-from-${from}`, namespace: home },
    spec: {
      from: ["TCPRoute", "TLSRoute"].map((kind) => ({ group: GATEWAY_GROUP, kind, namespace: from })),
      to: [{ group: "", kind: "Service", name: service }],
    },
  }
}

function encryption(service: string, namespace: string, hostname: string): Plain {
  return {
    apiVersion: GATEWAY_API,
    kind: "BackendTLSPolicy",
    metadata: { name: service, namespace },
    spec: {
      targetRefs: [{ group: "", kind: "Service", name: service }],
      validation: { hostname, wellKnownCACertificates: "System" },
    },
  }
}

function isLoose(value: unknown): value is Loose {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function isPlainText(value: unknown): boolean {
  return typeof value === "string" && !value.includes("${")
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : []
}
