// What an action is: how it is read, and the step that runs it.
import type { Answer } from "../../policy/decision.ts"
import type { Diagnostic } from "../diagnostic.ts"
import type { MadeLimit } from "../limit-claims.ts"
import type { ModuleRequest } from "../manifests/document.ts"
import type { Needs, Read } from "./cel/index.ts"
import type { Complaints, Path } from "./complaints.ts"
import type { Fields } from "./fields.ts"
import type { Run } from "./run.ts"
import type { Mention, Situation } from "./situation.ts"
import type { PolicyContext } from "./visit.ts"

/** Runs an action: a decision ends the policy, `undefined` goes on with the next action. Waits only where it has to. */
export type Step = (run: Run) => Stepped | Promise<Stepped>

export type Stepped = Answer | undefined

/** A type of actions. */
export interface ActionKind {
  readonly type: string
  /** Reads its config; `undefined` where something is wrong, which it has complained of. */
  read(fields: Fields, where: Where): ReadAction | undefined
}

/** Where an action stands. */
export interface Where {
  readonly situation: Situation
  /** Whether an action before it ends TLS, for some connections at least. */
  readonly afterTerminate: boolean
  /** How it is called in reasons: the name of its rule, or its place. */
  readonly title: string
}

/** What is looked at of a program: what it needs, and what it reads. */
export interface Reading {
  readonly needs: Needs
  readonly reads: readonly Read[]
}

/** An action that is right in itself. */
export interface ReadAction {
  readonly type: string
  /** Whether it decides: then no action after it is reached. `maybe`: for some connections. */
  readonly decides: "always" | "maybe" | "never"
  readonly programs: readonly Reading[]
  /** Variables that it sets. */
  readonly sets?: readonly string[]
  readonly terminates?: boolean
  readonly modules?: readonly ModuleRequest[]
  readonly ipPolicies?: readonly Mention[]
  readonly forwards?: readonly Mention[]
  readonly pools?: readonly Mention[]
  /** Makes the step. What is wrong only now, `making.problem` is told. */
  compile(making: Making): Step
}

/** What a step is made with. */
export interface Making {
  readonly context: PolicyContext
  /** Names what it keeps between connections: unique, and the same over reloads. */
  readonly id: string
  /** Whether a program reads `actions.ngrok.<name>`: nobody else needs it. */
  isRead(result: string): boolean
  /** Goes on with what comes after this action. */
  rest(run: Run): Answer | Promise<Answer>
  problem(problem: Diagnostic): void
  limit(made: MadeLimit): void
  /** Whether its policy is told of the ends of connections. */
  watch(): void
}

export function mention(complaints: Complaints, path: Path, name: string): Mention {
  return { name, problem: (message, hint) => complaints.diagnostic(path, message, { hint }) }
}
