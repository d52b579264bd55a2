// What is found of an endpoint that is an object: problems, and why it is not made, for its conditions.
import type { Diagnostic } from "../diagnostic.ts"
import { Findings, type Path } from "./findings.ts"

export class EndpointFindings extends Findings {
  /** Why it is not made, and the reason of the condition. */
  fault: { readonly reason: string; readonly message: string } | undefined = undefined
  /** Why its traffic policy is not applied. */
  policyFault: string | undefined = undefined

  get any(): boolean {
    return this.fault !== undefined || this.policyFault !== undefined
  }

  fail(path: Path, message: string, hint?: string, reason = "ConfigurationError"): undefined {
    this.problem(path, message, hint)
    this.fault ??= { reason, message }
    return undefined
  }

  failPolicy(message: string, problems: readonly Diagnostic[]): undefined {
    this.problems.push(...problems)
    this.policyFault ??= message
    return undefined
  }
}
