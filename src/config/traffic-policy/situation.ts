// A traffic policy that has been read, and what decides which checks apply to it.
import type { Diagnostic } from "../diagnostic.ts"
import type { ModuleRequest } from "../manifests/document.ts"
import type { Needs } from "./cel/index.ts"
import type { Lookup } from "./complaints.ts"
import type { ReadRule } from "./read-rule.ts"

/** Whose policy it is: which checks apply. */
export interface Situation {
  /** Of the endpoint's URL. `unknown`: a file of its own, or a NgrokTrafficPolicy that nobody refers to yet. */
  readonly protocol: "tcp" | "tls" | "http" | "unknown"
  /**
   * What comes after its last rule. `agent`: the endpoint's upstream. `cloud`: nothing, so it has to decide about every
   * connection. `file`: the next policy of the listener, or nobody knows yet.
   */
  readonly endpoint: "agent" | "cloud" | "file"
  /** Its URL ends in `.internal`. */
  readonly isInternal: boolean
}

/** A name that a policy writes out, and where: for whoever knows what there is. */
export interface Mention {
  readonly name: string
  problem(message: string, hint?: string): Diagnostic
}

/** A policy that is right in itself. */
export interface TrafficPolicy {
  /** Another one whenever it would do something else: a hash, without secrets. */
  readonly key: string
  readonly rules: readonly ReadRule[]
  /** What its `typescript` actions name. */
  readonly modules: readonly ModuleRequest[]
  /** What `restrict-ips` names in `ip_policies`, by id or name. */
  readonly ipPolicies: readonly Mention[]
  /** The URLs of `forward-internal` that have no `${}`, whatever their `on_error`, in their one spelling. */
  readonly forwards: readonly Mention[]
  /** The pools that `forward` names without `${}`. */
  readonly pools: readonly Mention[]
  /** What any of its expressions needs. */
  readonly needs: Needs
  /** What is wrong where there is nothing to look that up in. */
  readonly lookups: ReadonlyMap<Lookup, Diagnostic>
  /** Whether it ends TLS for some connections. */
  readonly terminates: boolean
  /** Whether it provably decides about every connection, so that nothing after it is ever asked. */
  readonly alwaysDecides: boolean
}
