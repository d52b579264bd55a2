// All of ngrok's documents together: to rules, pools and statuses.
import type { AnyObject } from "../kubernetes/types.ts"
import type { Compiled, Surroundings } from "../manifests/document.ts"
import type { AgentDocument } from "./read-agent.ts"
import type { PolicyDocument } from "./read-traffic-policy.ts"

export interface TrafficPolicyDocuments {
  /** Traffic policies that are documents of their own. */
  readonly policies: readonly PolicyDocument[]
  readonly agents: readonly AgentDocument[]
  /** All objects: ngrok's own kinds, and what these refer to. */
  readonly objects: readonly AnyObject[]
}

export function compileTrafficPolicies(_: TrafficPolicyDocuments, __: Surroundings): Compiled {
  return { parts: new Map(), objects: [] }
}
