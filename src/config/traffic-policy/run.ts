// One run of a policy: which rules match, what their actions do, in order. Plain until something waits.
import { withoutSecrets } from "../told-secrets.ts"
import type { Answer } from "../../policy/decision.ts"
import { EvaluationFailed, Facts, type CertificateFacts, type Expression, type Value } from "./cel/index.ts"
import type { Step, Stepped } from "./action.ts"
import { clientCertificateOf } from "./server-certificate.ts"
import type { PolicyContext, Visit } from "./visit.ts"

/** What went wrong while a policy ran. The connection is closed: whoever wrote the rule meant it to count. */
export class TrafficPolicyFailed extends Error {
  override readonly name = "TrafficPolicyFailed"
  readonly code: string

  /** @param place of the rule, like `guard.yaml:5:9` */
  constructor(place: string, message: string, code: string) {
    super(`${place}: ${withoutSecrets(message)} (${code})`)
    this.code = code
  }
}

export interface RunnableStep {
  readonly run: Step
  readonly needsHello: boolean
}

export interface RunnableRule {
  readonly expressions: readonly Expression[]
  /** Where each of them stands. */
  readonly places: readonly string[]
  readonly needsHello: boolean
  readonly steps: readonly RunnableStep[]
}

export interface RunnablePolicy {
  readonly rules: readonly RunnableRule[]
  readonly facts: PolicyContext["facts"]
}

export class Run {
  readonly visit: Visit
  private readonly policy: RunnablePolicy
  private known: Facts | undefined
  private awaited = false
  /** Of TLS that was ended here. */
  serverCertificate: (() => CertificateFacts | undefined) | undefined

  constructor(policy: RunnablePolicy, visit: Visit) {
    this.policy = policy
    this.visit = visit
    this.known = undefined
    this.serverCertificate = undefined
  }

  /** Made when the first expression or result asks for it. */
  get facts(): Facts {
    return (this.known ??= new Facts({
      ...this.policy.facts,
      connection: this.visit.connection,
      endpoint: this.visit.endpoint,
      serverCertificate: () => this.serverCertificate?.(),
      clientCertificate: () => clientCertificateOf(this.known?.terminated?.clientCertificate),
    }))
  }

  /** Runs from this action of this rule on; with -1 the rule is asked first whether it matches. */
  from(rule: number, action: number): Answer | Promise<Answer> {
    const { rules } = this.policy
    for (let i = rule; i < rules.length; i++) {
      const { needsHello, steps } = rules[i]!
      let j = i === rule ? action : -1
      if (j < 0) {
        if (needsHello) {
          const wait = this.hello()
          if (wait !== undefined) return wait.then(() => this.from(i, -1))
        }
        if (!this.matches(rules[i]!)) continue
        j = 0
      }
      for (; j < steps.length; j++) {
        const step = steps[j]!
        if (step.needsHello) {
          const wait = this.hello()
          if (wait !== undefined) return wait.then(() => this.from(i, j))
        }
        const stepped = step.run(this)
        if (stepped === undefined) continue
        if (stepped instanceof Promise) return this.waitFor(stepped, i, j + 1)
        return stepped
      }
    }
    return this.visit.fallThrough
  }

  private async waitFor(stepped: Promise<Stepped>, rule: number, action: number): Promise<Answer> {
    return (await stepped) ?? this.from(rule, action)
  }

  private matches({ expressions, places }: RunnableRule): boolean {
    for (let i = 0; i < expressions.length; i++) {
      const found = expressions[i]!.evaluate(this.facts)
      if (found === false) return false
      if (found !== true) throw failed(places[i]!, found)
    }
    return true
  }

  /** The value of a template; what goes wrong ends the run. */
  value(program: { evaluate(facts: Facts): Value | EvaluationFailed }, place: string): Value {
    const found = program.evaluate(this.facts)
    if (found instanceof EvaluationFailed) throw failed(place, found)
    return found
  }

  /**
   * Waits for what the client says first, where that is not known and may be a hello: a client that is silent lets the
   * server speak first, and has none.
   */
  private hello(): Promise<unknown> | undefined {
    const { connection } = this.visit
    if (this.awaited || connection.tls !== undefined || connection.postgres !== undefined) return undefined
    if (this.known?.terminated !== undefined || /^(tls|postgres):/.test(connection.listener.url)) return undefined
    this.awaited = true
    return connection.protocol()
  }
}

function failed(place: string, { code, message }: EvaluationFailed): TrafficPolicyFailed {
  return new TrafficPolicyFailed(place, message, code)
}
