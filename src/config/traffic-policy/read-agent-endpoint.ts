// One endpoint of an agent configuration, whose shape is right: what it says, and what of it does not fit together.
import { describe } from "../../policy/describe.ts"
import type { TerminateOptions } from "../../policy/terminate.ts"
import { LONGEST_METADATA, type WrittenEndpoint } from "./agent-schema.ts"
import { mayForward, trapsIn } from "./contradictions.ts"
import type { EndpointUrl } from "./endpoint-url.ts"
import type { Findings, Path } from "./findings.ts"
import { readPolicy, type Situation, type TrafficPolicy } from "./policy.ts"
import { readTermination } from "./termination.ts"
import { readUpstream, type Upstream } from "./upstream.ts"

/** An endpoint of an agent, without what stands in other files. */
export interface AgentEndpointRead {
  readonly name: string
  readonly path: Path
  readonly url: EndpointUrl
  readonly pooling: boolean
  readonly situation: Situation
  readonly policy: { readonly policy: TrafficPolicy; readonly forwards: boolean } | undefined
  /** The file that has its policy. */
  readonly policyFile: string | undefined
  readonly upstream: Upstream
  readonly proxyProtocol: 1 | 2 | undefined
  readonly termination: TerminateOptions | undefined
}

export class AgentEndpointReader {
  private readonly findings: Findings

  constructor(findings: Findings) {
    this.findings = findings
  }

  read(written: WrittenEndpoint, url: EndpointUrl, path: Path): AgentEndpointRead | undefined {
    const situation: Situation = {
      protocol: url.protocol,
      endpoint: "agent",
      isInternal: url.binding === "internal",
    }
    this.checkMetadata(written.metadata, path)
    this.checkProtocol(written.upstream.protocol, url, path)
    const termination = this.terminationOf(written, url, path)
    const policy = this.policyOf(written, path, situation)
    const upstream = this.upstreamOf(written, path)
    if (policy?.policy.terminates === true && termination !== undefined)
      this.findings.problem(
        [...path, "agent_tls_termination"],
        "the policy ends TLS already (terminate-tls), and it ends once",
        "take one of both out",
      )
    if (upstream?.kind === "target" && upstream.url.startsWith("tls:"))
      this.checkEncryption(url, policy?.policy.terminates === true || termination !== undefined, written, path)
    if (upstream === undefined) return undefined
    const { name, pooling_enabled: pooling = false } = written
    const version = written.upstream.proxy_protocol
    return {
      name,
      path,
      url,
      pooling,
      situation,
      policy,
      policyFile: written.traffic_policy_file,
      upstream,
      proxyProtocol: version === undefined ? undefined : Number(version) === 1 ? 1 : 2,
      termination,
    }
  }

  private checkMetadata(metadata: unknown, path: Path): void {
    if (metadata === undefined || metadata === null) return
    if (typeof metadata !== "string")
      this.findings.warn(
        [...path, "metadata"],
        `ngrok's agent takes a text here, and its operator an object; found ${describe(metadata)}`,
        `for both, write it as JSON in quotes, like '{"team": "db"}'`,
      )
    else if (metadata.length > LONGEST_METADATA)
      this.findings.problem(
        [...path, "metadata"],
        `${metadata.length} characters; at most ${LONGEST_METADATA} (ERR_NGROK_18013)`,
      )
  }

  private checkProtocol(protocol: unknown, { protocol: scheme }: EndpointUrl, path: Path): void {
    // An example of ngrok's own has `tcp`.
    if (protocol === undefined || protocol === null || protocol === scheme || protocol === "tcp") return
    this.findings.problem(
      [...path, "upstream", "protocol"],
      `${describe(protocol)} is for http:// endpoints: bytes of a ${scheme}:// endpoint pass as they are (ERR_NGROK_15003)`,
      "take it out",
    )
  }

  /** TLS that passes through would be encrypted once more. */
  private checkEncryption(url: EndpointUrl, ends: boolean, written: WrittenEndpoint, path: Path): void {
    // Who forwards to it may have ended TLS; another file's policy is looked at with that file.
    if (url.protocol !== "tls" || url.binding === "internal" || ends || written.traffic_policy_file !== undefined)
      return
    this.findings.problem(
      [...path, "upstream", "url"],
      "the client's TLS passes through, and would be encrypted once more",
      "write tcp:// to pass it through, or end it with agent_tls_termination or the action terminate-tls",
    )
  }

  private terminationOf(written: WrittenEndpoint, url: EndpointUrl, path: Path): TerminateOptions | undefined {
    const termination = written.agent_tls_termination
    if (termination === undefined) return undefined
    const at = [...path, "agent_tls_termination"]
    if (url.protocol !== "tls") {
      this.findings.problem(
        at,
        `only clients of tls:// endpoints speak TLS from the start, found ${url.text}`,
        "write a tls:// URL",
      )
      return undefined
    }
    const read = readTermination(termination)
    if ("options" in read) return read.options
    this.findings.problem([...at, ...read.path], read.problem, read.hint)
    return undefined
  }

  private policyOf(written: WrittenEndpoint, path: Path, situation: Situation): AgentEndpointRead["policy"] {
    const { traffic_policy: policy, traffic_policy_file: file } = written
    if (policy === undefined || policy === null) return undefined
    const at = [...path, "traffic_policy"]
    const { document } = this.findings
    if (file !== undefined) {
      this.findings.problem(
        [...path, "traffic_policy_file"],
        "traffic_policy and traffic_policy_file exclude each other",
        "take one of both out",
      )
      return undefined
    }
    const { problems, value, warnings } = readPolicy(document, at, policy, situation)
    this.findings.problems.push(...problems)
    this.findings.warnings.push(...warnings, ...trapsIn(document, at, policy))
    return value === undefined ? undefined : { policy: value, forwards: mayForward(policy) }
  }

  private upstreamOf({ upstream }: WrittenEndpoint, path: Path): Upstream | undefined {
    const at = [...path, "upstream", "url"]
    const read = readUpstream(upstream.url)
    if ("problem" in read) {
      this.findings.problem(at, read.problem, read.hint)
      return undefined
    }
    if (read.warning !== undefined) this.findings.warn(at, read.warning)
    return read.upstream
  }
}
