// An ngrok agent configuration, `version: 3`, from a document to checked values. What it says of the agent itself has no
// effect here, and is not shown.
import { describe } from "../../policy/describe.ts"
import { didYouMean } from "../../policy/suggest.ts"
import type { TerminateOptions } from "../../policy/terminate.ts"
import type { Diagnostic } from "../diagnostic.ts"
import { problemAt, type Document, type Read } from "../manifests/document.ts"
import { decode } from "../schema/faults.ts"
import { AGENT_SETTINGS, endpoint as schema, LONGEST_METADATA, type WrittenEndpoint } from "./agent-schema.ts"
import { mayForward, trapsIn } from "./contradictions.ts"
import { readEndpointUrl, type EndpointUrl } from "./endpoint-url.ts"
import { readPolicy, type Situation, type TrafficPolicy } from "./policy.ts"
import { readTermination } from "./termination.ts"
import { readUpstream, type Upstream } from "./upstream.ts"

type Path = readonly PropertyKey[]

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

export interface AgentDocument {
  readonly document: Document
  readonly endpoints: readonly AgentEndpointRead[]
  /** The policies of http:// endpoints: nobody else's business. */
  readonly otherPolicyFiles: readonly string[]
}

/** 1,000 endpoints: an agent takes a tenth of that at once. */
const MOST_ENDPOINTS = 1000

export function readAgent(document: Document): Read<AgentDocument> {
  return new AgentReader(document).read()
}

class AgentReader {
  private readonly document: Document
  private readonly problems: Diagnostic[] = []
  private readonly warnings: Diagnostic[] = []
  private readonly endpoints: AgentEndpointRead[] = []
  private readonly otherPolicyFiles: string[] = []
  private readonly http: { name: string; path: Path; hint: string }[] = []
  private readonly names = new Map<string, number>()

  constructor(document: Document) {
    this.document = document
  }

  read(): Read<AgentDocument> {
    const { document, endpoints, otherPolicyFiles, problems, warnings } = this
    const written = document.value as Readonly<Record<string, unknown>>
    if (this.isVersion3(written)) {
      this.readNames(written)
      this.readEndpoints(written["endpoints"])
      this.tellOfHttp()
    }
    const value = problems.length > 0 ? undefined : { document, endpoints, otherPolicyFiles }
    return { value, problems, warnings }
  }

  private problem(path: Path, message: string, hint?: string, what?: "key" | "value"): void {
    this.problems.push(problemAt(this.document, path, message, hint, what))
  }

  private warn(path: Path, message: string, hint?: string): void {
    this.warnings.push(problemAt(this.document, path, message, hint))
  }

  private isVersion3({ version }: Readonly<Record<string, unknown>>): boolean {
    if (version === 3 || version === "3") return true
    const upgrade = "run `ngrok config upgrade --config FILE`, which writes version 3"
    if (version === undefined)
      this.problem([], "an agent configuration says which version it has: write `version: 3`", undefined)
    else if (version === 2 || version === 1 || version === "2" || version === "1")
      this.problem(["version"], `expected 3, found ${describe(version)}: endpoints came with version 3`, upgrade)
    else this.problem(["version"], `expected 3, found ${describe(version)}`, upgrade)
    return false
  }

  private readNames(written: Readonly<Record<string, unknown>>): void {
    const known = ["version", "endpoints", ...AGENT_SETTINGS]
    const idle: string[] = []
    for (const name of Object.keys(written)) {
      if (AGENT_SETTINGS.includes(name)) idle.push(name)
      else if (name === "tunnels")
        this.problem(
          [name],
          "tunnels are not read: they are of version 2, and on their way out in version 3",
          "write each as one of `endpoints`: name, url, and upstream with a url",
          "key",
        )
      else if (!known.includes(name))
        this.problem([name], `there is no option ${describe(name)}${didYouMean(name, known)}`, undefined, "key")
    }
    const [first] = idle
    if (first !== undefined)
      this.warn([first], "what is said of ngrok's agent has no effect here: there is no agent, and nobody to log in to")
  }

  private readEndpoints(written: unknown): void {
    if (written === undefined || written === null) return
    if (!Array.isArray(written))
      return this.problem(
        ["endpoints"],
        `expected a list of endpoints, found ${describe(written)}`,
        "write each as `- name: ...`",
      )
    if (written.length > MOST_ENDPOINTS)
      return this.problem(["endpoints"], `${written.length} endpoints; at most ${MOST_ENDPOINTS} in one document`)
    written.forEach((one: unknown, i) => this.readEndpoint(one, ["endpoints", i], i))
  }

  private readEndpoint(one: unknown, path: Path, i: number): void {
    if (typeof one !== "object" || one === null || Array.isArray(one))
      return this.problem(path, `expected an endpoint with name, url and upstream, found ${describe(one)}`)
    const written = one as Readonly<Record<string, unknown>>
    const name = typeof written["name"] === "string" ? written["name"] : ""
    this.checkName(name, path, i)
    const url = readEndpointUrl(written["url"], written["bindings"])
    if (url.kind === "http") return this.isNotOurs(written, name, path, url.hint)
    const decoded = decode(schema, one)
    if ("faults" in decoded) {
      for (const { message, path: at, unknown } of decoded.faults)
        this.problem([...path, ...at], message, undefined, unknown === true ? "key" : "value")
    }
    if (url.kind === "problem") {
      const { field, hint, message } = url.problem
      return this.problem([...path, field], message, hint)
    }
    for (const { field, hint, message } of url.remarks) this.warn([...path, field], message, hint)
    if ("value" in decoded) this.take(decoded.value, url.url, path)
  }

  private checkName(name: string, path: Path, i: number): void {
    const first = this.names.get(name)
    if (name === "") return
    if (first === undefined) this.names.set(name, i)
    else this.problem([...path, "name"], `${describe(name)} is the name of endpoints[${first}] already`)
  }

  private isNotOurs(written: Readonly<Record<string, unknown>>, name: string, path: Path, hint: string): void {
    this.http.push({ name, path, hint })
    const file = written["traffic_policy_file"]
    if (typeof file === "string") this.otherPolicyFiles.push(file)
    const { url } = written
    const policy = written["traffic_policy"]
    if (
      typeof url === "string" &&
      /\.internal(:\d+)?$/.test(url) &&
      typeof policy === "object" &&
      policy !== null &&
      "on_tcp_connect" in policy
    )
      this.warn(
        [...path, "traffic_policy", "on_tcp_connect"],
        "an internal http endpoint never runs on_tcp_connect (ERR_NGROK_2262)",
        "write a tcp:// or tls:// URL",
      )
  }

  private tellOfHttp(): void {
    const [first] = this.http
    if (first === undefined) return
    const names = this.http.map(({ name }) => (name === "" ? "one without a name" : name)).join(", ")
    this.warn(
      [...first.path, "url"],
      `http:// and https:// endpoints are not served here, and left alone: ${names}`,
      first.hint,
    )
  }

  private take(written: WrittenEndpoint, url: EndpointUrl, path: Path): void {
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
      this.problem(
        [...path, "agent_tls_termination"],
        "the policy ends TLS already (terminate-tls), and it ends once",
        "take one of both out",
      )
    if (upstream?.kind === "target" && upstream.url.startsWith("tls:"))
      this.checkEncryption(url, policy?.policy.terminates === true || termination !== undefined, written, path)
    if (upstream === undefined) return
    const { name, pooling_enabled: pooling = false } = written
    const version = written.upstream.proxy_protocol
    this.endpoints.push({
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
    })
  }

  private checkMetadata(metadata: unknown, path: Path): void {
    if (metadata === undefined || metadata === null) return
    if (typeof metadata !== "string")
      this.warn(
        [...path, "metadata"],
        `ngrok's agent takes a text here, and its operator an object; found ${describe(metadata)}`,
        `for both, write it as JSON in quotes, like '{"team": "db"}'`,
      )
    else if (metadata.length > LONGEST_METADATA)
      this.problem(
        [...path, "metadata"],
        `${metadata.length} characters; at most ${LONGEST_METADATA} (ERR_NGROK_18013)`,
      )
  }

  private checkProtocol(protocol: unknown, { protocol: scheme }: EndpointUrl, path: Path): void {
    // An example of ngrok's own has `tcp`.
    if (protocol === undefined || protocol === null || protocol === scheme || protocol === "tcp") return
    this.problem(
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
    this.problem(
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
      this.problem(
        at,
        `only clients of tls:// endpoints speak TLS from the start, found ${url.text}`,
        "write a tls:// URL",
      )
      return undefined
    }
    const read = readTermination(termination)
    if ("options" in read) return read.options
    this.problem([...at, ...read.path], read.problem, read.hint)
    return undefined
  }

  private policyOf(written: WrittenEndpoint, path: Path, situation: Situation): AgentEndpointRead["policy"] {
    const { traffic_policy: policy, traffic_policy_file: file } = written
    if (policy === undefined || policy === null) return undefined
    const at = [...path, "traffic_policy"]
    if (file !== undefined) {
      this.problem(
        [...path, "traffic_policy_file"],
        "traffic_policy and traffic_policy_file exclude each other",
        "take one of both out",
      )
      return undefined
    }
    const { problems, value, warnings } = readPolicy(this.document, at, policy, situation)
    this.problems.push(...problems)
    this.warnings.push(...warnings, ...trapsIn(this.document, at, policy))
    return value === undefined ? undefined : { policy: value, forwards: mayForward(policy) }
  }

  private upstreamOf({ upstream }: WrittenEndpoint, path: Path): Upstream | undefined {
    const at = [...path, "upstream", "url"]
    const read = readUpstream(upstream.url)
    if ("problem" in read) {
      this.problem(at, read.problem, read.hint)
      return undefined
    }
    if (read.warning !== undefined) this.warn(at, read.warning)
    return read.upstream
  }
}
