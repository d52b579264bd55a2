// TidegatePolicy: what Gateway API has no words for at layer 4, attached to Gateways, their listeners and routes
// (`tidegate.dev/v1alpha1`). The options are those of tidegate.yaml, under the same names.
import type { Pool } from "../../policy/pool.ts"
import type { ListenerOptions } from "../../policy/listener-options.ts"

export const TIDEGATE_GROUP = "tidegate.dev"
/** What a GatewayClass names that is ours. */
export const CONTROLLER = "tidegate.dev/gateway-controller"
/** The class of Gateways that are made of other formats. */
export const GATEWAY_CLASS = "tidegate"

export interface TidegatePolicySpec {
  /** In the policy's own namespace. */
  readonly targetRefs: readonly {
    readonly group: string
    readonly kind: "Gateway" | "ListenerSet" | "TCPRoute" | "TLSRoute"
    readonly name: string
    /** One listener of a Gateway or ListenerSet. */
    readonly sectionName?: string
  }[]
  /** Which clients are let in: CIDRs. Without `allow`, all that `deny` does not name. */
  readonly clients?: { readonly allow?: readonly string[]; readonly deny?: readonly string[] }
  /** Of the listeners; only where the target is a Gateway or ListenerSet. */
  readonly listener?: ListenerOptions
  /** Of TLS that is terminated; only where the target is a Gateway or ListenerSet. */
  readonly tls?: {
    readonly minVersion?: "1.2" | "1.3"
    readonly maxVersion?: "1.2" | "1.3"
    readonly ciphers?: string
    readonly alpn?: readonly string[]
  }
  /** Of every Service that is routed to: balancing, health, retries, time-outs, limits, PROXY header. */
  readonly upstream?: Omit<Pool, "targets" | "tls">
  /** Asked before the route; `next` goes on to it. */
  readonly policy?: { readonly module: string; readonly export?: string }
}
