// One connection at one endpoint whose traffic policy is asked, and what is asked then.
import type { Connection, Summary } from "../../policy/connection.ts"
import type { Answer } from "../../policy/decision.ts"
import type { Modules } from "../contents.ts"
import { withoutSecrets } from "../told-secrets.ts"
import type { MadeLimit } from "../limit-claims.ts"
import type { EndpointFacts, FactSource } from "./cel/index.ts"

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
  /**
   * To be called with every connection that {@link connect} was asked about, once it has ended; calling it for others,
   * or twice, does nothing.
   */
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
  forward(url: string, visit: Visit): Forwarded | Promise<Forwarded>
}

export type Forwarded = Answer | ForwardFailure

/** Why an internal endpoint was not reached: what `actions.ngrok.forward_internal.error` says. */
export class ForwardFailure {
  /** `ERR_NGROK_3200`: there is no such endpoint. */
  readonly code: string
  readonly message: string

  constructor(code: string, message: string) {
    this.code = code
    this.message = withoutSecrets(message)
  }
}
