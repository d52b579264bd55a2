// Certificates that an AgentEndpoint names: for its clients, for its targets, and the authorities of its clients.
import { checkTerminate, type TerminateOptions } from "../../policy/terminate.ts"
import type { UpstreamTls } from "../../policy/upstream-tls.ts"
import { authoritiesOf, identityOf } from "../kubernetes/certificates.ts"
import type { ObjectOf, ObjectReference } from "../kubernetes/types.ts"
import type { EndpointFindings } from "./endpoint-findings.ts"
import type { EndpointUrl } from "./endpoint-url.ts"
import type { ReadPolicy } from "./policy-of-endpoint.ts"
import type { References } from "./references.ts"

type AgentEndpoint = ObjectOf<"AgentEndpoint">

/** What is shown to targets that ask for a certificate. */
export function clientCertificateOf(
  object: AgentEndpoint,
  encrypts: boolean,
  references: References,
  findings: EndpointFindings,
): UpstreamTls["certificate"] {
  const path = ["spec", "clientCertificateRefs"]
  const [first, second] = object.body.spec.clientCertificateRefs ?? []
  if (first === undefined) return undefined
  if (!encrypts) {
    findings.warn(path, "they have no effect: the upstream is not tls://host:port")
    return undefined
  }
  if (second !== undefined) findings.warn([...path, 1], "the first certificate is presented; a target asks for one")
  const found = references.secret(object, first)
  if ("problem" in found) return findings.fail([...path, 0], found.problem, found.hint)
  const { problem, value } = identityOf(found.object)
  if (value !== undefined) return { cert: value.cert, key: value.key }
  return findings.fail([...path, 0], problem ?? "")
}

/** How TLS ends before the upstream. */
export function terminationOf(
  object: AgentEndpoint,
  url: EndpointUrl,
  policy: ReadPolicy | undefined,
  references: References,
  findings: EndpointFindings,
): TerminateOptions | undefined {
  const written = object.body.spec.tlsTermination
  if (written === undefined) return undefined
  const at = ["spec", "tlsTermination"]
  if (url.protocol !== "tls") {
    return findings.fail(
      at,
      `only clients of tls:// endpoints speak TLS from the start, found ${url.text}`,
      "write a tls:// URL",
    )
  }
  if (policy?.policy.terminates === true) {
    return findings.fail(
      at,
      "the traffic policy ends TLS already (terminate-tls), and it ends once",
      "take one of both out",
    )
  }
  const found = references.secret(object, written.serverCertificateRef)
  if ("problem" in found) return findings.fail([...at, "serverCertificateRef"], found.problem, found.hint)
  const { problem, value } = identityOf(found.object)
  if (value === undefined) return findings.fail([...at, "serverCertificateRef"], problem ?? "")
  const certificates = { cert: value.cert, key: value.key }
  const { mutualTLS } = written
  if (mutualTLS === undefined) return { certificates }
  const ca = authorities(object, mutualTLS.clientCAsRef, references, findings)
  if (ca === undefined) return undefined
  const clientCertificate = mutualTLS.mode === "request" ? "request" : "require-and-verify"
  const options: TerminateOptions = { certificates, ca, clientCertificate }
  checkTerminate(options)
  return options
}

function authorities(
  object: AgentEndpoint,
  ref: ObjectReference,
  references: References,
  findings: EndpointFindings,
): string | undefined {
  const path = ["spec", "tlsTermination", "mutualTLS", "clientCAsRef"]
  const found = references.authorities(object, ref)
  if ("problem" in found) return findings.fail(path, found.problem, found.hint)
  const { problem, value } = authoritiesOf(found.object)
  if (value === undefined) findings.fail(path, problem ?? "")
  return value
}
