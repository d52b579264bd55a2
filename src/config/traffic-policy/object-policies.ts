// Where an AgentEndpoint or CloudEndpoint has its traffic policy: in itself, or in a NgrokTrafficPolicy.
import { didYouMean } from "../../policy/suggest.ts"
import { describe } from "../../policy/describe.ts"
import type { Document } from "../manifests/document.ts"
import type { TrafficPolicyReference } from "../kubernetes/types.ts"
import type { EndpointObject } from "./object-endpoints.ts"
import type { References } from "./references.ts"

type Path = readonly PropertyKey[]

export interface PolicySource {
  readonly document: Document
  readonly path: Path
  readonly value: unknown
}

export interface Attached {
  /** `none`, `inline`, or the name of the object. */
  readonly name: string
  readonly source: PolicySource | undefined
  readonly fault: { readonly path: Path; readonly message: string; readonly hint: string | undefined } | undefined
}

export const NOTHING_ATTACHED: Attached = { name: "none", source: undefined, fault: undefined }

export function policySource(object: EndpointObject, references: References): Attached {
  const { spec } = object.body
  const written = spec.trafficPolicy
  const oldName = "trafficPolicyName" in spec ? (spec.trafficPolicyName ?? "") : ""
  const path = ["spec", "trafficPolicy"]
  const ways = waysOf(written, oldName)
  const [only, second] = ways
  if (second !== undefined)
    return failed(
      "inline",
      path,
      `${ways.join(" and ")} exclude each other: an endpoint has one traffic policy`,
      "take one of them out",
    )
  const { document } = object
  switch (only) {
    case undefined:
      // An empty one is a slip, not no policy.
      return written === undefined || written === null
        ? NOTHING_ATTACHED
        : failed("none", path, "expected exactly one of inline and targetRef", undefined)
    case "inline":
      return {
        ...NOTHING_ATTACHED,
        name: "inline",
        source: { document, path: [...path, "inline"], value: written?.inline },
      }
    case "policy":
      return {
        ...NOTHING_ATTACHED,
        name: "inline",
        source: { document, path: [...path, "policy"], value: written?.policy },
      }
    case "trafficPolicyName":
      return named(object, references, oldName, ["spec", "trafficPolicyName"])
    case "targetRef":
      return named(object, references, written?.targetRef?.name ?? "", [...path, "targetRef", "name"])
    default:
      return only satisfies never
  }
}

type Way = "inline" | "policy" | "targetRef" | "trafficPolicyName"

function waysOf(written: TrafficPolicyReference | undefined, oldName: string): readonly Way[] {
  const ways: Way[] = []
  if (written?.inline !== undefined && written.inline !== null) ways.push("inline")
  if (written?.targetRef !== undefined && written.targetRef !== null) ways.push("targetRef")
  if (written?.policy !== undefined && written.policy !== null) ways.push("policy")
  if (oldName !== "") ways.push("trafficPolicyName")
  return ways
}

/** Of its own namespace; ngrok's operator looks nowhere else. */
function named(object: EndpointObject, references: References, name: string, path: Path): Attached {
  const { namespace } = object.metadata
  const policy = references.trafficPolicy(namespace, name)
  if (policy !== undefined) {
    const { document } = policy
    const value = policy.body.spec.policy
    return { ...NOTHING_ATTACHED, name, source: { document, path: ["spec", "policy"], value: value ?? null } }
  }
  const all = references.objects.all("NgrokTrafficPolicy")
  const near = didYouMean(
    name,
    all.filter(({ metadata }) => metadata.namespace === namespace).map(({ metadata }) => metadata.name),
  )
  const elsewhere = all.find(({ metadata }) => metadata.name === name)?.metadata.namespace
  return failed(
    name,
    path,
    `there is no NgrokTrafficPolicy ${describe(name)} in the namespace ${namespace}${near}`,
    elsewhere === undefined ? undefined : `there is one in ${elsewhere}; it has to be in the namespace of the endpoint`,
  )
}

function failed(name: string, path: Path, message: string, hint: string | undefined): Attached {
  return { name, source: undefined, fault: { path, message, hint } }
}
