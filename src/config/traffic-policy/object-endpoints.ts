// AgentEndpoints and CloudEndpoints: what they serve with all that they refer to, and what is said of each.
import type { UpstreamTls } from "../../policy/upstream-tls.ts"
import { isFalse, isTrue, type Said } from "../kubernetes/conditions.ts"
import { titleOf } from "../kubernetes/objects.ts"
import type { ObjectOf } from "../kubernetes/types.ts"
import type { Diagnostic } from "../diagnostic.ts"
import { problemAt } from "../manifests/document.ts"
import { annotationTraps } from "./contradictions.ts"
import { EndpointFindings } from "./endpoint-findings.ts"
import type { Endpoint, EndpointPolicy } from "./endpoint.ts"
import { readEndpointUrl, type EndpointUrl } from "./endpoint-url.ts"
import { makeEndpoint } from "./make-endpoint.ts"
import { NOTHING_ATTACHED, policySource, type Attached } from "./object-policies.ts"
import { clientCertificateOf, terminationOf } from "./object-tls.ts"
import type { Situation } from "./policy.ts"
import { readPolicyFor, withIpPolicies, type ReadPolicy } from "./policy-of-endpoint.ts"
import type { References } from "./references.ts"
import { readUpstream, type Upstream } from "./upstream.ts"

export type EndpointObject = ObjectOf<"AgentEndpoint"> | ObjectOf<"CloudEndpoint">

/** An endpoint that an object describes, and what became of it. */
export interface Described {
  readonly object: EndpointObject
  /** `undefined` where it cannot serve. */
  readonly endpoint: Endpoint | undefined
  readonly policy: ReadPolicy | undefined
  readonly url: EndpointUrl | undefined
  /** What is in its `status` about its policy: `none`, `inline`, or the name of an object. */
  readonly attached: string
  /** The conditions, without `Ready`, which follows from them and from others' endpoints. */
  readonly said: readonly Said[]
  readonly problems: readonly Diagnostic[]
  readonly warnings: readonly Diagnostic[]
}

export function describeEndpoint(object: EndpointObject, references: References): Described {
  return new Description(object, references).read()
}

class Description {
  private readonly object: EndpointObject
  private readonly references: References
  private readonly findings: EndpointFindings
  /** Why its upstream has nobody who answers now. */
  private missing: string | undefined

  constructor(object: EndpointObject, references: References) {
    this.object = object
    this.references = references
    this.findings = new EndpointFindings(object.document)
  }

  read(): Described {
    const { object } = this
    this.findings.warnings.push(...annotationTraps(object.document, object.metadata.annotations))
    const { spec } = object.body
    const read = readEndpointUrl(spec.url, spec.bindings)
    if (read.kind === "http") {
      this.findings.warn(
        ["spec", "url"],
        `an http:// or https:// endpoint is not served here, and left alone`,
        read.hint,
      )
      this.findings.fault = {
        reason: "UnsupportedProtocol",
        message: "Only tcp:// and tls:// endpoints are served here",
      }
      return this.described(undefined, undefined, undefined, NOTHING_ATTACHED)
    }
    if (read.kind === "problem") {
      const { field, hint, message } = read.problem
      this.findings.fail(["spec", field], message, hint)
      return this.described(undefined, undefined, undefined, NOTHING_ATTACHED)
    }
    for (const { field, hint, message } of read.remarks) this.findings.warn(["spec", field], message, hint)
    return this.served(read.url)
  }

  private served(url: EndpointUrl): Described {
    const { object } = this
    const attached = policySource(object, this.references)
    const policy = this.policyOf(url, attached)
    const route = object.kind === "AgentEndpoint" ? this.agentRoute(object, url, policy?.read) : undefined
    const termination =
      object.kind === "AgentEndpoint"
        ? terminationOf(object, url, policy?.read, this.references, this.findings)
        : undefined
    const good = !this.findings.any
    const endpoint = good
      ? makeEndpoint({
          title: titleOf(object),
          owner: titleOf(object),
          document: object.document,
          at: { url: ["spec", "url"], upstream: ["spec", "upstream", "url"], pooling: ["spec", "poolingEnabled"] },
          url,
          pooling: object.kind === "AgentEndpoint" || (object.body.spec.poolingEnabled ?? true),
          policy: policy?.bound,
          leads: route,
          termination,
        })
      : undefined
    return this.described(endpoint, policy?.read, url, attached)
  }

  private described(
    endpoint: Endpoint | undefined,
    policy: ReadPolicy | undefined,
    url: EndpointUrl | undefined,
    { name }: Attached,
  ): Described {
    const { object } = this
    const { fault, policyFault, problems, warnings } = this.findings
    const created = object.kind === "AgentEndpoint" ? "EndpointCreated" : "CloudEndpointCreated"
    const said: Said[] = []
    if (fault !== undefined) said.push(isFalse(created, fault.reason, fault.message))
    else if (policyFault !== undefined)
      said.push(isFalse(created, "Pending", "It does not serve until its traffic policy is right"))
    else said.push(isTrue(created, created, createdMessage(url, this.missing)))
    if (policyFault !== undefined) said.push(isFalse("TrafficPolicyApplied", "TrafficPolicyError", policyFault))
    else if (name !== "none" && url !== undefined)
      said.push(isTrue("TrafficPolicyApplied", "TrafficPolicyApplied", "Traffic policy successfully applied"))
    if (url !== undefined) said.push(domainReady(url))
    return { object, endpoint, policy, url, attached: name, said, problems, warnings }
  }

  private policyOf(url: EndpointUrl, attached: Attached): { read: ReadPolicy; bound: EndpointPolicy } | undefined {
    const { object } = this
    const { kind } = object
    if (attached.fault !== undefined) {
      const { hint, message, path } = attached.fault
      this.findings.failPolicy(message, [problemAt(object.document, path, message, hint)])
      return undefined
    }
    if (attached.source === undefined) {
      if (kind === "CloudEndpoint") {
        const message =
          "a cloud endpoint has no upstream: its traffic policy has to decide about every connection (ERR_NGROK_2235)"
        const hint = "write trafficPolicy.inline.on_tcp_connect that ends with forward-internal, forward or deny"
        this.findings.failPolicy(message, [problemAt(object.document, ["spec"], message, hint)])
      }
      return undefined
    }
    const situation: Situation = {
      protocol: url.protocol,
      endpoint: kind === "AgentEndpoint" ? "agent" : "cloud",
      isInternal: url.binding === "internal",
    }
    const { document, path, value } = attached.source
    const { problems, value: read, warnings } = readPolicyFor(document, document, path, value, situation)
    this.findings.warnings.push(...warnings)
    if (read === undefined) {
      const first = problems[0]?.message ?? "it cannot be read"
      this.findings.failPolicy(
        attached.name === "inline" ? first : `NgrokTrafficPolicy ${attached.name}: ${first}`,
        problems,
      )
      return undefined
    }
    const bound = withIpPolicies(read, this.references, object.metadata.namespace)
    if ("policy" in bound) return { read, bound }
    this.findings.failPolicy(bound[0]!.message, bound)
    return undefined
  }

  private agentRoute(object: ObjectOf<"AgentEndpoint">, url: EndpointUrl, policy: ReadPolicy | undefined) {
    const { tlsTermination, upstream: written } = object.body.spec
    const at = ["spec", "upstream"]
    const read = readUpstream(written.url)
    if ("problem" in read) {
      this.findings.fail([...at, "url"], read.problem, read.hint)
      return undefined
    }
    if (read.warning !== undefined) this.findings.warn([...at, "url"], read.warning)
    const encrypts = read.upstream.kind === "target" && read.upstream.url.startsWith("tls:")
    const ends = policy?.policy.terminates === true || tlsTermination !== undefined
    if (encrypts && url.protocol === "tls" && url.binding !== "internal" && !ends) {
      const message = "the client's TLS passes through, and would be encrypted once more"
      this.findings.fail(
        [...at, "url"],
        message,
        "write tcp:// to pass it through, or end it with tlsTermination or terminate-tls",
      )
      return undefined
    }
    const certificate = clientCertificateOf(object, encrypts, this.references, this.findings)
    const tls: UpstreamTls | undefined = encrypts ? (certificate === undefined ? {} : { certificate }) : undefined
    const version = written.proxyProtocolVersion
    const proxyProtocol = version === undefined ? undefined : version === "1" ? (1 as const) : (2 as const)
    return this.leadsTo(read.upstream, tls, proxyProtocol)
  }

  private leadsTo(upstream: Upstream, tls: UpstreamTls | undefined, proxyProtocol: 1 | 2 | undefined) {
    const service = this.references.service(upstream)
    if (service === undefined) return { upstream, tls, proxyProtocol }
    if ("problem" in service) {
      this.findings.fail(["spec", "upstream", "url"], service.problem, service.hint, "UpstreamError")
      return undefined
    }
    this.missing = service.endpoints.missing
    return { upstream, tls, proxyProtocol, service }
  }
}

function createdMessage(url: EndpointUrl | undefined, missing: string | undefined): string {
  const but = missing === undefined ? "" : `; ${missing}`
  if (url === undefined || url.listen.length === 0) return `It is reached by forward-internal${but}`
  return `It is served on ${url.listen.map((entry) => entry.url).join(", ")}${but}`
}

/** Names are their owners' to point here. */
function domainReady({ binding, host, protocol }: EndpointUrl): Said {
  const message =
    binding === "internal"
      ? "An internal endpoint has no domain"
      : protocol === "tcp" || host === ""
        ? "A domain is not asked for: clients come to a port"
        : `Clients are known by the name ${host}; it has to lead to this gateway in the DNS`
  return isTrue("DomainReady", "DomainReady", message)
}
