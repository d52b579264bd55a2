// Connections at endpoints: the endpoint's own policy, then its upstream; from there to internal endpoints and on.
import { lookups } from "../lookups.ts"
import { withoutSecrets } from "../told-secrets.ts"
import type { Connection, Summary } from "../../policy/connection.ts"
import { continuationOf, continued, next, type Answer } from "../../policy/decision.ts"
import type { Modules } from "../contents.ts"
import type { Diagnostic } from "../diagnostic.ts"
import type { EndpointFacts } from "./cel/index.ts"
import type { Endpoint, EndpointPolicy } from "./endpoint.ts"
import type { Group } from "./groups.ts"
import type { InternalEndpoints } from "./internal-endpoints.ts"
import { compilePolicy, ForwardFailure, type CompiledPolicy, type Forwarded, type Visit } from "./policy.ts"

/** 8 endpoints that hand a connection on: whoever has more goes in circles. */
export const DEEPEST = 8

/** Whose policy is asked. */
interface Asked {
  readonly owner: string
  readonly policy: EndpointPolicy
}

/** What the endpoints of one file run with: the modules that these name, and the internal endpoints of all files. */
export class Runtime {
  readonly internal: InternalEndpoints
  private readonly modules: Modules
  private readonly compiled = new Map<EndpointPolicy, CompiledPolicy | readonly Diagnostic[]>()
  /** What is to be told of the end of a connection, by its id. */
  private readonly hooks = new Map<string, ((summary: Summary) => void)[]>()

  constructor(internal: InternalEndpoints, modules: Modules) {
    this.internal = internal
    this.modules = modules
  }

  /** The policy, made ready once; what is wrong with the modules that it names. */
  compile({ owner, policy }: Asked): CompiledPolicy | readonly Diagnostic[] {
    let known = this.compiled.get(policy)
    if (known !== undefined) return known
    const { ipPolicies } = policy
    const { problems, value } = compilePolicy(policy.policy, {
      owner,
      modules: this.modules,
      ipPolicy: (name) => ipPolicies.get(name),
      facts: lookups,
    })
    known = value === undefined ? problems : value
    this.compiled.set(policy, known)
    return known
  }

  /** Calls what waits for the end of the connection. */
  readonly closed = (summary: Summary): void => {
    const hooks = this.hooks.get(summary.conn.id)
    if (hooks === undefined) return
    this.hooks.delete(summary.conn.id)
    for (const hook of hooks) hook(summary)
  }

  /** Asks the policy of whoever it is. @throws when it cannot be made ready */
  ask(asked: Asked, visit: Visit): Answer | Promise<Answer> {
    const policy = this.compile(asked)
    if (!("connect" in policy)) throw new Error(`the policy of ${asked.owner} has problems: ${policy[0]?.message}`)
    if (policy.closed !== undefined) this.note(visit.connection.id, policy.closed)
    return policy.connect(visit)
  }

  private note(id: string, hook: (summary: Summary) => void): void {
    const hooks = this.hooks.get(id)
    if (hooks === undefined) this.hooks.set(id, [hook])
    else if (!hooks.includes(hook)) hooks.push(hook)
  }
}

/** One connection at one endpoint, which it came to through these others. */
class EndpointVisit implements Visit {
  readonly connection: Connection
  readonly endpoint: EndpointFacts
  readonly depth: number
  readonly fallThrough: Answer
  private readonly through: readonly string[]
  private readonly runtime: Runtime

  constructor(
    runtime: Runtime,
    connection: Connection,
    endpoint: EndpointFacts,
    fallThrough: Answer,
    through: readonly string[],
  ) {
    this.runtime = runtime
    this.connection = connection
    this.endpoint = endpoint
    this.fallThrough = fallThrough
    this.through = through
    this.depth = through.length
  }

  forward(url: string): Forwarded | Promise<Forwarded> {
    const found = this.runtime.internal.find(url, this.endpoint.protocol)
    if (found instanceof ForwardFailure) return found
    const through = [...this.through, this.endpoint.url]
    if (through.length > DEEPEST)
      throw new Error(
        withoutSecrets(
          `forward-internal went through more than ${DEEPEST} endpoints: ${[...through, url].join(" -> ")} (ERR_NGROK_3501)`,
        ),
      )
    return visitGroup(found, this.runtime, this.connection, through)
  }
}

/** No endpoint yet. */
export const NOBODY: readonly string[] = Object.freeze([])

/** The member is picked first, then its own policy runs. */
export function visitGroup(
  group: Group,
  runtime: Runtime,
  connection: Connection,
  through: readonly string[],
): Answer | Promise<Answer> {
  const endpoint = group.pick()
  const { facts, owner, policy, route = next, termination } = endpoint
  // What TLS has to end for is not the policy's to answer: it passes, and what follows is seen to here.
  const fallThrough = termination === undefined ? route : next
  const answer =
    policy === undefined
      ? fallThrough
      : runtime.ask({ owner, policy }, new EndpointVisit(runtime, connection, facts, fallThrough, through))
  if (termination === undefined) return answer
  return answer instanceof Promise
    ? answer.then((settled) => terminated(endpoint, connection, settled))
    : terminated(endpoint, connection, answer)
}

/** Where the policy leaves a connection to the upstream, now or once it was not reached elsewhere, its TLS ends first. */
function terminated(endpoint: Endpoint, connection: Connection, answer: Answer): Answer | Promise<Answer> {
  const { route = next, termination } = endpoint
  const ended = () => connection.terminate(termination).then(() => route)
  if (answer.action === "next") return ended()
  if (answer.action !== "route" || continuationOf(answer) === undefined) return answer
  return continued(answer, ended)
}

/** Asks a policy that is nobody's endpoint; without a decision the next policy is asked. */
export function visitFile(asked: Asked, facts: EndpointFacts, runtime: Runtime, connection: Connection) {
  return runtime.ask(asked, new EndpointVisit(runtime, connection, facts, next, NOBODY))
}
