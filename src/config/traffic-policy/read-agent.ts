// An ngrok agent configuration, `version: 3`, from a document to checked values. What it says of the agent itself has no
// effect here, and is not shown.
import { describe } from "../../policy/describe.ts"
import { didYouMean } from "../../policy/suggest.ts"
import type { Document, Read } from "../manifests/document.ts"
import { decode } from "../schema/faults.ts"
import { AGENT_SETTINGS, endpoint as schema } from "./agent-schema.ts"
import { readEndpointUrl } from "./endpoint-url.ts"
import { Findings, type Path } from "./findings.ts"
import { AgentEndpointReader, type AgentEndpointRead } from "./read-agent-endpoint.ts"

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
  private readonly findings: Findings
  private readonly endpoints: AgentEndpointRead[] = []
  private readonly otherPolicyFiles: string[] = []
  private readonly http: { name: string; path: Path; hint: string }[] = []
  private readonly names = new Map<string, number>()

  constructor(document: Document) {
    this.findings = new Findings(document)
  }

  read(): Read<AgentDocument> {
    const { endpoints, otherPolicyFiles } = this
    const { document, problems, warnings } = this.findings
    const written = document.value as Readonly<Record<string, unknown>>
    if (this.isVersion3(written)) {
      this.readNames(written)
      this.readEndpoints(written["endpoints"])
      this.tellOfHttp()
    }
    const value = problems.length > 0 ? undefined : { document, endpoints, otherPolicyFiles }
    return { value, problems, warnings }
  }

  private isVersion3({ version }: Readonly<Record<string, unknown>>): boolean {
    if (version === 3 || version === "3") return true
    const upgrade = "run `ngrok config upgrade --config FILE`, which writes version 3"
    if (version === undefined)
      this.findings.problem([], "an agent configuration says which version it has: write `version: 3`", undefined)
    else if (version === 2 || version === 1 || version === "2" || version === "1")
      this.findings.problem(
        ["version"],
        `expected 3, found ${describe(version)}: endpoints came with version 3`,
        upgrade,
      )
    else this.findings.problem(["version"], `expected 3, found ${describe(version)}`, upgrade)
    return false
  }

  private readNames(written: Readonly<Record<string, unknown>>): void {
    const known = ["version", "endpoints", ...AGENT_SETTINGS]
    const idle: string[] = []
    for (const name of Object.keys(written)) {
      if (AGENT_SETTINGS.includes(name)) idle.push(name)
      else if (name === "tunnels")
        this.findings.problem(
          [name],
          "tunnels are not read: they are of version 2, and on their way out in version 3",
          "write each as one of `endpoints`: name, url, and upstream with a url",
          "key",
        )
      else if (!known.includes(name))
        this.findings.problem(
          [name],
          `there is no option ${describe(name)}${didYouMean(name, known)}`,
          undefined,
          "key",
        )
    }
    const [first] = idle
    if (first !== undefined)
      this.findings.warn(
        [first],
        "what is said of ngrok's agent has no effect here: there is no agent, and nobody to log in to",
      )
  }

  private readEndpoints(written: unknown): void {
    if (written === undefined || written === null) return
    if (!Array.isArray(written))
      return this.findings.problem(
        ["endpoints"],
        `expected a list of endpoints, found ${describe(written)}`,
        "write each as `- name: ...`",
      )
    if (written.length > MOST_ENDPOINTS)
      return this.findings.problem(
        ["endpoints"],
        `${written.length} endpoints; at most ${MOST_ENDPOINTS} in one document`,
      )
    written.forEach((one: unknown, i) => this.readEndpoint(one, ["endpoints", i], i))
  }

  private readEndpoint(one: unknown, path: Path, i: number): void {
    if (typeof one !== "object" || one === null || Array.isArray(one))
      return this.findings.problem(path, `expected an endpoint with name, url and upstream, found ${describe(one)}`)
    const written = one as Readonly<Record<string, unknown>>
    const name = typeof written["name"] === "string" ? written["name"] : ""
    this.checkName(name, path, i)
    const url = readEndpointUrl(written["url"], written["bindings"])
    if (url.kind === "http") return this.isNotOurs(written, name, path, url.hint)
    const decoded = decode(schema, one)
    if ("faults" in decoded) {
      for (const { message, path: at, unknown } of decoded.faults)
        this.findings.problem([...path, ...at], message, undefined, unknown === true ? "key" : "value")
    }
    if (url.kind === "problem") {
      const { field, hint, message } = url.problem
      return this.findings.problem([...path, field], message, hint)
    }
    for (const { field, hint, message } of url.remarks) this.findings.warn([...path, field], message, hint)
    if (!("value" in decoded)) return
    const read = new AgentEndpointReader(this.findings).read(decoded.value, url.url, path)
    if (read !== undefined) this.endpoints.push(read)
  }

  private checkName(name: string, path: Path, i: number): void {
    const first = this.names.get(name)
    if (name === "") return
    if (first === undefined) this.names.set(name, i)
    else this.findings.problem([...path, "name"], `${describe(name)} is the name of endpoints[${first}] already`)
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
      this.findings.warn(
        [...path, "traffic_policy", "on_tcp_connect"],
        "an internal http endpoint never runs on_tcp_connect (ERR_NGROK_2262)",
        "write a tcp:// or tls:// URL",
      )
  }

  private tellOfHttp(): void {
    const [first] = this.http
    if (first === undefined) return
    const names = this.http.map(({ name }) => (name === "" ? "one without a name" : name)).join(", ")
    this.findings.warn(
      [...first.path, "url"],
      `http:// and https:// endpoints are not served here, and left alone: ${names}`,
      first.hint,
    )
  }
}
