// An endpoint, whichever format it was written in, with everything that it refers to.
import type { IpRules, TrafficPolicy } from "./policy.ts"
import type { RouteBuilder } from "../../policy/decision.ts"
import type { PoolSpec } from "../../policy/pool.ts"
import type { TerminateOptions } from "../../policy/terminate.ts"
import type { Place } from "../diagnostic.ts"
import type { Document } from "../manifests/document.ts"
import type { EndpointFacts } from "./cel/index.ts"
import type { EndpointUrl } from "./endpoint-url.ts"

type Path = readonly PropertyKey[]

export interface Endpoint {
  /** As people know it: `endpoint ssh`, `AgentEndpoint default/db`. */
  readonly title: string
  /** The same among all files: names what its limits count. */
  readonly owner: string
  readonly document: Document
  /** Where its URL stands, and what says that others may have it as well. */
  readonly at: { readonly url: Path; readonly pooling: Path }
  readonly places: { readonly listen: Place; readonly route: Place }
  readonly url: EndpointUrl
  readonly facts: EndpointFacts
  readonly pooling: boolean
  readonly policy: EndpointPolicy | undefined
  /** What becomes of connections about which the policy does not decide; `undefined` for an endpoint without upstream. */
  readonly route: RouteBuilder | undefined
  /** The pool of {@link route}, where it is not somebody else's. */
  readonly pool: PoolSpec | undefined
  /** How TLS ends between the policy and the upstream. */
  readonly termination: TerminateOptions | undefined
  /** Another one whenever it would do something else: a hash, without secrets. */
  readonly key: string
}

export interface EndpointPolicy {
  readonly policy: TrafficPolicy
  /** Whether it may hand connections to internal endpoints. */
  readonly forwards: boolean
  /** What its `ip_policies` name, by these names. */
  readonly ipPolicies: ReadonlyMap<string, IpRules>
  /** Equal for what does the same. */
  readonly key: string
}
