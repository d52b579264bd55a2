// Rules that were read, to what is asked about connections.
import type { Diagnostic } from "../diagnostic.ts"
import type { MadeLimit } from "../limit-claims.ts"
import type { Read } from "../manifests/document.ts"
import { connectionClosed } from "./actions/breaker.ts"
import type { Making } from "./action.ts"
import { Run, type RunnablePolicy, type RunnableRule } from "./run.ts"
import type { TrafficPolicy } from "./situation.ts"
import type { CompiledPolicy, PolicyContext } from "./visit.ts"

/** Where facts have what expressions look up. */
const FACTS = { geo: "place", categories: "categories", secrets: "secret" } as const

/** Makes a policy that can be asked; problems are those of modules and names that are not there. Never throws. */
export function compilePolicy(policy: TrafficPolicy, context: PolicyContext): Read<CompiledPolicy> {
  const problems: Diagnostic[] = []
  const limits: MadeLimit[] = []
  const read = resultsRead(policy)
  let watches = false
  const rules = policy.rules.map(({ actions, expressions }, i): RunnableRule => {
    const steps = actions.map(({ action }, j) => {
      const making: Making = {
        context,
        id: `${context.owner} on_tcp_connect[${i}].actions[${j}]`,
        isRead: (result) => read === undefined || read.has(result),
        rest: (run) => run.from(i, j + 1),
        problem: (problem) => void problems.push(problem),
        limit: (made) => void limits.push(made),
        watch: () => {
          watches = true
        },
      }
      return { run: action.compile(making), needsHello: action.programs.some(({ needs }) => needs.hello) }
    })
    return {
      expressions: expressions.map(({ program }) => program),
      places: expressions.map(({ place }) => place),
      needsHello: expressions.some(({ program }) => program.needs.hello),
      steps,
    }
  })
  for (const [lookup, missing] of policy.lookups) if (context.facts[FACTS[lookup]] === undefined) problems.push(missing)
  if (problems.length > 0) return { value: undefined, problems, warnings: [] }
  const runnable: RunnablePolicy = { rules, facts: context.facts }
  const value: CompiledPolicy = {
    connect: (visit) => new Run(runnable, visit).from(0, -1),
    closed: watches ? connectionClosed : undefined,
    limits,
  }
  return { value, problems: [], warnings: [] }
}

/** The results that programs read; `undefined` where one reads whatever there is. */
function resultsRead({ rules }: TrafficPolicy): ReadonlySet<string> | undefined {
  const reads = rules.flatMap(({ actions, expressions }) => [
    ...expressions.flatMap(({ program }) => program.reads),
    ...actions.flatMap(({ action }) => action.programs.flatMap((program) => program.reads)),
  ])
  const names = new Set(reads.filter(({ kind }) => kind === "result").map(({ name }) => name))
  return names.has("") ? undefined : names
}
