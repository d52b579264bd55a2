// ngrok's traffic policies, as those see them who have one: what is read, what it needs of others, and what runs it.
import type { Summary, Connection } from "../../policy/connection.ts"
import type { Answer } from "../../policy/decision.ts"
import type { Modules } from "../contents.ts"
import type { Diagnostic } from "../diagnostic.ts"
import type { MadeLimit } from "../limit-claims.ts"
import type { Document, ModuleRequest, Read } from "../manifests/document.ts"
import type { EndpointFacts, FactSource, Needs } from "./cel/index.ts"

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
  /** What its `typescript` actions name. */
  readonly modules: readonly ModuleRequest[]
  /** What `restrict-ips` names in `ip_policies`, by id or name. */
  readonly ipPolicies: readonly Mention[]
  /** The URLs of `forward-internal` that have no `${}`, whatever their `on_error`, in their one spelling. */
  readonly forwards: readonly Mention[]
  /** The pools and targets of `forward` that have no `${}`. */
  readonly routes: readonly Mention[]
  /** What any of its expressions needs. */
  readonly needs: Needs
  /** Whether it ends TLS for some connections. */
  readonly terminates: boolean
  /** Whether it provably decides about every connection, so that nothing after it is ever asked. */
  readonly alwaysDecides: boolean
}

/** The rules of an IP policy. */
export interface IpRules {
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}

/** What a policy finds where it is. */
export interface PolicyContext {
  /** Whose it is, as people know it, and unique: `guard.yaml`, `CloudEndpoint default/db`. Names what its limits count. */
  readonly owner: string
  readonly modules: Modules
  /** By id or name. */
  ipPolicy(name: string): IpRules | undefined
  /** What expressions are told of beyond the connection. */
  readonly facts: Pick<FactSource, "region" | "categories" | "place" | "secret" | "now">
}

/** A policy that can be asked. */
export interface CompiledPolicy {
  /**
   * Runs the rules. A plain answer unless an action or a variable has to wait. Throws, or rejects, for what goes wrong
   * while it runs: the connection is then closed as `policy-failed`.
   */
  connect(visit: Visit): Answer | Promise<Answer>
  /** To be called with every connection that {@link connect} was asked about, also through `forward-internal`. */
  readonly closed: ((summary: Summary) => void) | undefined
  readonly limits: readonly MadeLimit[]
}

/** One connection at one endpoint. */
export interface Visit {
  readonly connection: Connection
  readonly endpoint: EndpointFacts
  /** How many endpoints have forwarded it so far. */
  readonly depth: number
  /** What becomes of it when no rule decides: the route to the upstream of an agent endpoint, or `next`. */
  readonly fallThrough: Answer
  /**
   * Asks the internal endpoint with this URL; its own policy runs. `next` counts as a failure: it has not decided.
   * Gives a {@link ForwardFailure}, and throws none, where there is no such endpoint.
   */
  forward(url: string, visit: Visit): Answer | Promise<Answer | ForwardFailure> | ForwardFailure
}

/** Why an internal endpoint was not reached: what `actions.ngrok.forward_internal.error` says. */
export class ForwardFailure {
  /** `ERR_NGROK_3200`: there is no such endpoint. */
  readonly code: string
  readonly message: string

  constructor(code: string, message: string) {
    this.code = code
    this.message = message
  }
}

/**
 * Reads a policy, and says all that is wrong with it, in the order of the text.
 * @param path where it stands in the document
 * @param value an object, or a text with YAML or JSON in it
 */
export declare function readPolicy(
  document: Document,
  path: readonly PropertyKey[],
  value: unknown,
  situation: Situation,
): Read<TrafficPolicy>

/** Makes a policy that can be asked; problems are those of modules and names that are not there. */
export declare function compilePolicy(policy: TrafficPolicy, context: PolicyContext): Read<CompiledPolicy>
