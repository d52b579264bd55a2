// AgentEndpoints and CloudEndpoints: what they serve with all that they refer to, and what is said of each.
import type { UpstreamTls } from "../../policy/upstream-tls.ts"
import { checkTerminate, type TerminateOptions } from "../../policy/terminate.ts"
import { authoritiesOf, identityOf } from "../kubernetes/certificates.ts"
import { isFalse, isTrue, type Said } from "../kubernetes/conditions.ts"
import { titleOf } from "../kubernetes/objects.ts"
import type { ObjectOf, ObjectReference } from "../kubernetes/types.ts"
import type { Diagnostic } from "../diagnostic.ts"
import { problemAt } from "../manifests/document.ts"
import { annotationTraps } from "./contradictions.ts"
import type { Endpoint, EndpointPolicy } from "./endpoint.ts"
import { readEndpointUrl, type EndpointUrl } from "./endpoint-url.ts"
import { makeEndpoint } from "./make-endpoint.ts"
import { NOTHING_ATTACHED, policySource, type Attached } from "./object-policies.ts"
import type { Situation } from "./policy.ts"
import { readPolicyFor, withIpPolicies, type ReadPolicy } from "./policy-of-endpoint.ts"
import type { References } from "./references.ts"
import { readUpstream, type Upstream } from "./upstream.ts"

export type EndpointObject = ObjectOf<"AgentEndpoint"> | ObjectOf<"CloudEndpoint">

type Path = readonly PropertyKey[]

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
  private readonly problems: Diagnostic[] = []
  private readonly warnings: Diagnostic[] = []
  /** Why it is not made, and the reason of the condition. */
  private fault: { readonly reason: string; readonly message: string } | undefined
  private policyFault: string | undefined
  /** Why its upstream has nobody who answers now. */
  private missing: string | undefined

  constructor(object: EndpointObject, references: References) {
    this.object = object
    this.references = references
  }

  read(): Described {
    const { object } = this
    this.warnings.push(...annotationTraps(object.document, object.metadata.annotations))
    const { spec } = object.body
    const read = readEndpointUrl(spec.url, spec.bindings)
    if (read.kind === "http") {
      this.warnings.push(
        problemAt(
          object.document,
          ["spec", "url"],
          `an http:// or https:// endpoint is not served here, and left alone`,
          read.hint,
        ),
      )
      this.fault = {
        reason: "UnsupportedProtocol",
        message: `Only tcp:// and tls:// endpoints are served here; ${read.hint}`,
      }
      return this.described(undefined, undefined, undefined, NOTHING_ATTACHED)
    }
    if (read.kind === "problem") {
      const { field, hint, message } = read.problem
      this.fail(["spec", field], message, hint)
      return this.described(undefined, undefined, undefined, NOTHING_ATTACHED)
    }
    for (const { field, hint, message } of read.remarks)
      this.warnings.push(problemAt(object.document, ["spec", field], message, hint))
    return this.served(read.url)
  }

  private served(url: EndpointUrl): Described {
    const { object } = this
    const attached = policySource(object, this.references)
    const policy = this.policyOf(url, attached)
    const route = object.kind === "AgentEndpoint" ? this.agentRoute(object, url, policy?.read) : undefined
    const termination = object.kind === "AgentEndpoint" ? this.terminationOf(object, url, policy?.read) : undefined
    const good = this.fault === undefined && this.policyFault === undefined
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
    const { fault, object, policyFault, problems, warnings } = this
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

  private fail(path: Path, message: string, hint?: string, reason = "ConfigurationError"): void {
    this.problems.push(problemAt(this.object.document, path, message, hint))
    this.fault ??= { reason, message }
  }

  private failPolicy(message: string, problems: readonly Diagnostic[]): void {
    this.problems.push(...problems)
    this.policyFault ??= message
  }

  private policyOf(url: EndpointUrl, attached: Attached): { read: ReadPolicy; bound: EndpointPolicy } | undefined {
    const { object } = this
    const { kind } = object
    if (attached.fault !== undefined) {
      const { hint, message, path } = attached.fault
      this.failPolicy(message, [problemAt(object.document, path, message, hint)])
      return undefined
    }
    if (attached.source === undefined) {
      if (kind === "CloudEndpoint") {
        const message =
          "a cloud endpoint has no upstream: its traffic policy has to decide about every connection (ERR_NGROK_2235)"
        const hint = "write trafficPolicy.inline.on_tcp_connect that ends with forward-internal, forward or deny"
        this.failPolicy(message, [problemAt(object.document, ["spec"], message, hint)])
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
    this.warnings.push(...warnings)
    if (read === undefined) {
      const first = problems[0]?.message ?? "it cannot be read"
      this.failPolicy(attached.name === "inline" ? first : `NgrokTrafficPolicy ${attached.name}: ${first}`, problems)
      return undefined
    }
    const bound = withIpPolicies(read, this.references, object.metadata.namespace)
    if ("policy" in bound) return { read, bound }
    this.failPolicy(bound[0]!.message, bound)
    return undefined
  }

  private agentRoute(object: ObjectOf<"AgentEndpoint">, url: EndpointUrl, policy: ReadPolicy | undefined) {
    const { clientCertificateRefs = [], tlsTermination, upstream: written } = object.body.spec
    const at = ["spec", "upstream"]
    const read = readUpstream(written.url)
    if ("problem" in read) {
      this.fail([...at, "url"], read.problem, read.hint)
      return undefined
    }
    if (read.warning !== undefined) this.warnings.push(problemAt(object.document, [...at, "url"], read.warning))
    const encrypts = read.upstream.kind === "target" && read.upstream.url.startsWith("tls:")
    const ends = policy?.policy.terminates === true || tlsTermination !== undefined
    if (encrypts && url.protocol === "tls" && url.binding !== "internal" && !ends) {
      const message = "the client's TLS passes through, and would be encrypted once more"
      this.fail(
        [...at, "url"],
        message,
        "write tcp:// to pass it through, or end it with tlsTermination or terminate-tls",
      )
      return undefined
    }
    const certificate = this.clientCertificate(object, clientCertificateRefs, encrypts)
    const tls: UpstreamTls | undefined = encrypts ? (certificate === undefined ? {} : { certificate }) : undefined
    const version = written.proxyProtocolVersion
    const proxyProtocol = version === undefined ? undefined : version === "1" ? (1 as const) : (2 as const)
    return this.leadsTo(read.upstream, tls, proxyProtocol)
  }

  private leadsTo(upstream: Upstream, tls: UpstreamTls | undefined, proxyProtocol: 1 | 2 | undefined) {
    const service = this.references.service(upstream)
    if (service === undefined) return { upstream, tls, proxyProtocol }
    if ("problem" in service) {
      this.fail(["spec", "upstream", "url"], service.problem, service.hint, "UpstreamError")
      return undefined
    }
    this.missing = service.endpoints.missing
    return { upstream, tls, proxyProtocol, service }
  }

  private clientCertificate(
    object: ObjectOf<"AgentEndpoint">,
    refs: readonly ObjectReference[],
    encrypts: boolean,
  ): UpstreamTls["certificate"] {
    const path = ["spec", "clientCertificateRefs"]
    const [first, second] = refs
    if (first === undefined) return undefined
    if (!encrypts) {
      this.warnings.push(problemAt(object.document, path, "they have no effect: the upstream is not tls://host:port"))
      return undefined
    }
    if (second !== undefined)
      this.warnings.push(
        problemAt(object.document, [...path, 1], "the first certificate is presented; a target asks for one"),
      )
    const found = this.references.secret(object, first)
    if ("problem" in found) {
      this.fail([...path, 0], found.problem, found.hint)
      return undefined
    }
    const { problem, value } = identityOf(found.object)
    if (value !== undefined) return { cert: value.cert, key: value.key }
    this.fail([...path, 0], problem ?? "")
    return undefined
  }

  private terminationOf(
    object: ObjectOf<"AgentEndpoint">,
    url: EndpointUrl,
    policy: ReadPolicy | undefined,
  ): TerminateOptions | undefined {
    const written = object.body.spec.tlsTermination
    if (written === undefined) return undefined
    const at = ["spec", "tlsTermination"]
    if (url.protocol !== "tls") {
      this.fail(
        at,
        `only clients of tls:// endpoints speak TLS from the start, found ${url.text}`,
        "write a tls:// URL",
      )
      return undefined
    }
    if (policy?.policy.terminates === true) {
      this.fail(at, "the traffic policy ends TLS already (terminate-tls), and it ends once", "take one of both out")
      return undefined
    }
    const found = this.references.secret(object, written.serverCertificateRef)
    if ("problem" in found) {
      this.fail([...at, "serverCertificateRef"], found.problem, found.hint)
      return undefined
    }
    const { problem, value } = identityOf(found.object)
    if (value === undefined) {
      this.fail([...at, "serverCertificateRef"], problem ?? "")
      return undefined
    }
    const certificates = { cert: value.cert, key: value.key }
    const { mutualTLS } = written
    if (mutualTLS === undefined) return { certificates }
    const ca = this.authorities(object, mutualTLS.clientCAsRef)
    if (ca === undefined) return undefined
    const clientCertificate = mutualTLS.mode === "request" ? "request" : "require-and-verify"
    const options: TerminateOptions = { certificates, ca, clientCertificate }
    checkTerminate(options)
    return options
  }

  private authorities(object: ObjectOf<"AgentEndpoint">, ref: ObjectReference): string | undefined {
    const path = ["spec", "tlsTermination", "mutualTLS", "clientCAsRef"]
    const found = this.references.authorities(object, ref)
    if ("problem" in found) {
      this.fail(path, found.problem, found.hint)
      return undefined
    }
    const { problem, value } = authoritiesOf(found.object)
    if (value === undefined) this.fail(path, problem ?? "")
    return value
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
