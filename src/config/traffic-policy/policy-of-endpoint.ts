// The policy of an endpoint, with what it names of others: IP policies, and internal endpoints.
import type { Diagnostic } from "../diagnostic.ts"
import type { Document, Read } from "../manifests/document.ts"
import { digestOf } from "../module-graph.ts"
import { mayForward, trapsIn } from "./contradictions.ts"
import type { EndpointPolicy } from "./endpoint.ts"
import { textOf, type EndpointUrl, type Protocol } from "./endpoint-url.ts"
import { internalUrl, type InternalEndpoints } from "./internal-endpoints.ts"
import { ForwardFailure, readPolicy, type IpRules, type Situation, type TrafficPolicy } from "./policy.ts"
import type { References } from "./references.ts"

/** A policy that was read, and whether it hands connections on. */
export interface ReadPolicy {
  readonly policy: TrafficPolicy
  readonly forwards: boolean
}

const read = new WeakMap<object, Map<string, Read<ReadPolicy>>>()

/**
 * Reads a policy for one kind of endpoint; several endpoints may have it.
 * @param owner what it is kept by: the document's value
 */
export function readPolicyFor(
  owner: object,
  document: Document,
  path: readonly PropertyKey[],
  value: unknown,
  situation: Situation,
): Read<ReadPolicy> {
  const known = read.get(owner) ?? new Map<string, Read<ReadPolicy>>()
  read.set(owner, known)
  const key = `${situation.protocol} ${situation.endpoint} ${situation.isInternal} ${path.join(".")}`
  let found = known.get(key)
  if (found === undefined) {
    const { problems, value: policy, warnings } = readPolicy(document, path, value, situation)
    found = {
      value: policy === undefined ? undefined : { policy, forwards: mayForward(value) },
      problems,
      warnings: [...warnings, ...trapsIn(document, path, value)],
    }
    known.set(key, found)
  }
  return found
}

/** @param namespace in which its IP policies are; `undefined` for what is in none */
export function withIpPolicies(
  { forwards, policy }: ReadPolicy,
  references: References,
  namespace: string | undefined,
): EndpointPolicy | readonly Diagnostic[] {
  const problems: Diagnostic[] = []
  const rules = new Map<string, IpRules>()
  let key = policy.key
  for (const { name, problem } of policy.ipPolicies) {
    const found = references.ipPolicy(name, namespace)
    if ("message" in found) problems.push(problem(found.message, found.hint))
    else if (found.rules !== undefined) {
      rules.set(name, found.rules)
      key += ` ${found.key}`
    }
  }
  if (problems.length > 0) return problems
  return { policy, forwards, ipPolicies: rules, key: rules.size === 0 ? policy.key : digestOf(key) }
}

function hintFor(url: EndpointUrl, protocol: Protocol | undefined, internal: InternalEndpoints): string | undefined {
  const near = internal.suggestion(url)
  if (near !== undefined && near.protocol === (protocol ?? near.protocol))
    return `did you mean ${JSON.stringify(textOf(near.protocol, near.host, near.port))}?`
  if (protocol === undefined || url.protocol === protocol) return undefined
  return `write ${protocol}:// here and in the URL of the internal endpoint: bytes of both pass as they are`
}

/** Internal endpoints that a policy names and that nobody has: worth a look, as they may come later. */
export function lostForwards(
  { policy: { forwards } }: ReadPolicy,
  protocol: Protocol | undefined,
  internal: InternalEndpoints,
): readonly Diagnostic[] {
  const found: Diagnostic[] = []
  for (const { name, problem } of forwards) {
    const url = internalUrl(name)
    if (typeof url === "string") continue
    const failure = internal.find(name, protocol ?? url.protocol)
    if (!(failure instanceof ForwardFailure)) continue
    found.push(problem(`${failure.message} (${failure.code})`, hintFor(url, protocol, internal)))
  }
  return found
}
