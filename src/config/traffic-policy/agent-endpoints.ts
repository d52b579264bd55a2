// Endpoints of agent configurations, with what stands in other files: their traffic policies, and IP policies.
import { didYouMean } from "../../policy/suggest.ts"
import { describe } from "../../policy/describe.ts"
import type { Diagnostic } from "../diagnostic.ts"
import { problemAt, type Document } from "../manifests/document.ts"
import type { Endpoint } from "./endpoint.ts"
import { makeEndpoint } from "./make-endpoint.ts"
import { readPolicyFor, withIpPolicies, type ReadPolicy } from "./policy-of-endpoint.ts"
import type { AgentDocument } from "./read-agent.ts"
import type { AgentEndpointRead } from "./read-agent-endpoint.ts"
import type { PolicyDocument } from "./read-traffic-policy.ts"
import type { References } from "./references.ts"

/** What became of an endpoint. */
export interface Bound {
  /** `undefined` where it cannot serve. */
  readonly endpoint: Endpoint | undefined
  readonly policy: ReadPolicy | undefined
  readonly problems: readonly Diagnostic[]
  readonly warnings: readonly Diagnostic[]
}

/** The traffic policies that are files of their own, and who has them. */
export class PolicyFiles {
  private readonly byFile = new Map<string, PolicyDocument[]>()
  private readonly taken = new Set<PolicyDocument>()

  constructor(policies: readonly PolicyDocument[]) {
    for (const policy of policies) {
      const { file } = policy.document.source
      const same = this.byFile.get(file)
      if (same === undefined) this.byFile.set(file, [policy])
      else same.push(policy)
    }
  }

  /** It is an endpoint's from now on, and nobody else's. */
  take(policy: PolicyDocument): void {
    this.taken.add(policy)
  }

  isTaken(policy: PolicyDocument): boolean {
    return this.taken.has(policy)
  }

  /** @param written as `traffic_policy_file` has it; why it names none */
  find(
    written: string,
    from: Document,
  ): PolicyDocument | { readonly message: string; readonly hint: string | undefined } {
    const folder = from.source.path.slice(0, -from.source.file.length)
    const file = (written.startsWith(folder) ? written.slice(folder.length) : written).replace(/^(\.\/)+/, "")
    if (file.includes("/"))
      return {
        message: `${describe(written)} is not in this folder, and nothing else is read`,
        hint: `put the file beside this one, and write ${JSON.stringify(file.split("/").at(-1))}`,
      }
    const [policy, second] = this.byFile.get(file) ?? []
    if (policy === undefined)
      return {
        message: `there is no traffic policy in ${describe(file)} here${didYouMean(file, this.byFile.keys())}`,
        hint: "it is a .yaml, .yml or .json file beside this one, with on_tcp_connect",
      }
    if (second !== undefined)
      return {
        message: `${file} has several traffic policies: an endpoint has one`,
        hint: "put each into a file of its own",
      }
    if (policy.listen !== undefined)
      return {
        message: `the policy in ${file} listens by itself (\`listen\`), and is nobody else's`,
        hint: "take `listen` out of it, or write the policy here",
      }
    return policy
  }
}

interface Kept {
  readonly policy: string | undefined
  readonly endpoint: Endpoint
}

const made = new WeakMap<AgentEndpointRead, Kept>()
const NOTHING: readonly Diagnostic[] = []

export function bindAgentEndpoint(
  { document }: AgentDocument,
  read: AgentEndpointRead,
  files: PolicyFiles,
  references: References,
): Bound {
  const failed = (problems: readonly Diagnostic[], warnings: readonly Diagnostic[] = NOTHING): Bound => ({
    endpoint: undefined,
    policy: undefined,
    problems,
    warnings,
  })
  let policy = read.policy
  let warnings = NOTHING
  if (read.policyFile !== undefined) {
    const path = [...read.path, "traffic_policy_file"]
    const found = files.find(read.policyFile, document)
    if ("message" in found) return failed([problemAt(document, path, found.message, found.hint)])
    files.take(found)
    const own = readPolicyFor(found, found.document, [], found.value, read.situation)
    warnings = own.warnings
    if (own.value === undefined) return failed(own.problems, warnings)
    policy = own.value
    const fault = faultWith(policy, read)
    if (fault !== undefined)
      return failed([problemAt(document, [...read.path, ...fault.path], fault.message, fault.hint)], warnings)
  }
  const bound = policy === undefined ? undefined : withIpPolicies(policy, references, undefined)
  if (bound !== undefined && !("policy" in bound)) return failed(bound, warnings)
  const kept = made.get(read)
  const endpoint = kept !== undefined && kept.policy === bound?.key ? kept.endpoint : makeOf(document, read, bound)
  made.set(read, { policy: bound?.key, endpoint })
  return { endpoint, policy, problems: NOTHING, warnings }
}

function makeOf(document: Document, read: AgentEndpointRead, policy: Endpoint["policy"]): Endpoint {
  const { name, path, pooling, proxyProtocol, termination, upstream, url } = read
  const title = `endpoint ${name}`
  const encrypts = upstream.kind === "target" && upstream.url.startsWith("tls:")
  return makeEndpoint({
    title,
    owner: `${document.source.file} ${title}`,
    document,
    at: { url: [...path, "url"], upstream: [...path, "upstream", "url"], pooling: [...path, "pooling_enabled"] },
    url,
    pooling,
    policy,
    leads: { upstream, tls: encrypts ? {} : undefined, proxyProtocol },
    termination,
  })
}

/** What the policy of another file says against the endpoint. */
function faultWith({ policy }: ReadPolicy, { termination, upstream, url }: AgentEndpointRead) {
  if (policy.terminates && termination !== undefined)
    return {
      path: ["agent_tls_termination"],
      message: "the policy ends TLS already (terminate-tls), and it ends once",
      hint: "take one of both out",
    }
  const encrypts = upstream.kind === "target" && upstream.url.startsWith("tls:")
  if (
    encrypts &&
    url.protocol === "tls" &&
    url.binding !== "internal" &&
    !policy.terminates &&
    termination === undefined
  )
    return {
      path: ["upstream", "url"],
      message: "the client's TLS passes through, and would be encrypted once more",
      hint: "write tcp:// to pass it through, or end it with agent_tls_termination or the action terminate-tls",
    }
  return undefined
}
