// The states of ngrok's objects: what a cluster would show of them.
import { problemAt, type Condition, type ObjectState, type Read, type Surroundings } from "../manifests/document.ts"
import { conditions, generationOf, isFalse, isTrue, type Said } from "../kubernetes/conditions.ts"
import type { AnyObject, ObjectOf } from "../kubernetes/types.ts"
import { factsOf } from "./make-endpoint.ts"
import { titleOf } from "../kubernetes/objects.ts"
import type { IpPolicy } from "./ip-policies.ts"
import type { Described } from "./object-endpoints.ts"
import { readPolicyFor, type ReadPolicy } from "./policy-of-endpoint.ts"
import { isHttpPhase } from "./read-traffic-policy.ts"

/** @param refused what other endpoints have that it needs */
export function endpointState(
  described: Described,
  refused: string | undefined,
  surroundings: Surroundings,
): ObjectState {
  const { attached, object, url } = described
  const isAgent = object.kind === "AgentEndpoint"
  const created = isAgent ? "EndpointCreated" : "CloudEndpointCreated"
  const said = described.said.map((one) =>
    refused !== undefined && one.type === created ? isFalse(created, "EndpointConflict", refused) : one,
  )
  const active = isAgent ? "EndpointActive" : "CloudEndpointActive"
  const bad =
    said.find(({ status, type }) => status === "False" && type !== created) ??
    said.find(({ status }) => status === "False")
  const ready: Said =
    bad === undefined
      ? isTrue("Ready", active, `${object.kind} is active and ready`)
      : isFalse("Ready", bad.reason, bad.message)
  const status = {
    ...(url === undefined ? {} : isAgent ? {} : { id: factsOf(titleOf(object), url).id }),
    ...(url === undefined ? {} : { assignedURL: url.text }),
    ...(isAgent ? { attachedTrafficPolicy: attached } : {}),
    conditions: conditions(surroundings, object, "", [...said, ready]),
  }
  return stateOf(object, status, surroundings)
}

export function ipPolicyState({ object, problems }: IpPolicy, surroundings: Surroundings): ObjectState {
  const [first] = problems
  const said: Said[] =
    first === undefined
      ? [
          isTrue("IPPolicyCreated", "IPPolicyCreated", "The policy can be named in restrict-ips"),
          isTrue("RulesConfigured", "IPPolicyRulesConfigured", "All rules are right"),
          isTrue("Ready", "IPPolicyActive", "IP Policy is active"),
        ]
      : [
          isFalse("IPPolicyCreated", "IPPolicyCreationFailed", "Its rules are not right"),
          isFalse("RulesConfigured", "IPPolicyInvalidCIDR", first.message),
          isFalse("Ready", "IPPolicyRulesConfigurationError", first.message),
        ]
  return stateOf(object, { conditions: conditions(surroundings, object, "", said) }, surroundings)
}

/** A policy as nobody's endpoint has it. One that has phases of HTTP may be that of endpoints which are not served here. */
export function readTrafficPolicyObject({ body, document }: ObjectOf<"NgrokTrafficPolicy">): Read<ReadPolicy> {
  const { policy = null } = body.spec
  const path = ["spec", "policy"]
  const phases = typeof policy === "object" && policy !== null ? Object.keys(policy).filter(isHttpPhase) : []
  const protocol = phases.length > 0 ? "http" : "unknown"
  const read = readPolicyFor(document, document, path, policy, { protocol, endpoint: "file", isInternal: false })
  if (phases.length === 0) return read
  const message = `${phases.join(" and ")} ${phases.length === 1 ? "is" : "are"} for http:// endpoints, which are not served here`
  return {
    ...read,
    warnings: [...read.warnings, problemAt(document, [...path, phases[0]!], message, undefined, "key")],
  }
}

export function trafficPolicyState(object: ObjectOf<"NgrokTrafficPolicy">, surroundings: Surroundings): ObjectState {
  const { problems, warnings } = readTrafficPolicyObject(object)
  const [problem] = problems
  const old = warnings.find(({ message }) => /\benabled\b/.test(message))
  const both = (make: (type: string) => Said): readonly Condition[] =>
    conditions(surroundings, object, "", [make("Valid"), make("Ready")])
  const said =
    problem !== undefined
      ? both((type) => isFalse(type, reasonOf(problem.message), problem.message))
      : old !== undefined
        ? both((type) => isTrue(type, "EnabledFieldDeprecated", old.message))
        : both((type) => isTrue(type, "TrafficPolicyValid", "Traffic policy is valid"))
  return stateOf(object, { conditions: said }, surroundings)
}

function reasonOf(message: string): string {
  return /\b(inbound|outbound)\b/.test(message) ? "LegacyPolicyFormat" : "TrafficPolicyParseFailed"
}

type Shown = Omit<ObjectState, "generation" | "status">

const shown = new WeakMap<AnyObject, Shown>()

function stateOf(object: AnyObject, status: ObjectState["status"], surroundings: Surroundings): ObjectState {
  let known = shown.get(object)
  if (known === undefined) shown.set(object, (known = shownOf(object)))
  return { ...known, generation: generationOf(surroundings, object), status }
}

/** Without its status, and without private keys. */
function shownOf({ document }: AnyObject): Shown {
  const { group, kind, name, namespace, version } = document.head
  const { status: _, ...rest } = document.value as Record<string, unknown>
  return {
    file: document.source.file,
    line: document.place([]).line,
    apiVersion: group === "" ? version : `${group}/${version}`,
    kind,
    namespace,
    name,
    written: masked(rest, "", 0) as Record<string, unknown>,
  }
}

const SECRET_NAME = /private_?key|password|token|secret/i
/** 64: as deep as documents are. */
const DEEPEST = 64

function masked(value: unknown, name: string, depth: number): unknown {
  if (typeof value === "string") return value.includes("PRIVATE KEY-----") || SECRET_NAME.test(name) ? "•••" : value
  if (typeof value !== "object" || value === null || depth > DEEPEST) return value
  if (Array.isArray(value)) return value.map((inner) => masked(inner, name, depth + 1))
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, masked(inner, key, depth + 1)]))
}
