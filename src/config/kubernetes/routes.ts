// Routes: which listeners each attaches to, what it does there, and what is said of it. The other half of the compiler,
// listeners and what they refer to, is done before.
import type { PoolSpec } from "../../policy/pool.ts"
import type { Contents, Modules, Rule } from "../contents.ts"
import type { Diagnostic } from "../diagnostic.ts"
import {
  problemAt,
  type Compiled,
  type ModuleRequest,
  type ObjectState,
  type Part,
  type Surroundings,
} from "../manifests/document.ts"
import { digestOf } from "../module-graph.ts"
import { BackendTls } from "./backend-tls.ts"
import { Backends, refused, type Backend } from "./backends.ts"
import { Contests, type Attachment, type Outcome } from "./contests.ts"
import { EffectivePolicies, type Route } from "./effective.ts"
import type { Service } from "./endpoints.ts"
import type { ListenerState } from "./listener-state.ts"
import { laterStateOf, stateOf } from "./object-states.ts"
import type { Objects } from "./objects.ts"
import { Parents, type AnyRoute, type Match, type Parent } from "./parents.ts"
import type { Policies } from "./policies.ts"
import { rulesOf, type Serving } from "./route-rules.ts"
import { routeStatus, type OutcomeOf } from "./route-status.ts"
import type { Share } from "./shares.ts"
import type { AnyObject } from "./types.ts"

/**
 * Attaches every route to its parents. Gives the parts of the files that hold routes (rules, and the pools that they lead
 * to) and the states of TCPRoutes, TLSRoutes, the routes that are not served, and BackendTLSPolicies. Counts
 * `attachedRoutes` of the listeners and says which of them are taken, so their statuses and rules are made after it.
 *
 * The rules of routes have `last`, so that policies without `listen` are asked before them. None is made for a name that a
 * listener has and no route: whoever makes the listeners adds one to each, so that it is bound, and so that no less
 * specific listener is asked in its place.
 */
export function attachRoutes(
  objects: Objects,
  listeners: readonly ListenerState[],
  policies: Policies,
  surroundings: Surroundings,
): Compiled {
  return new Attaching(objects, listeners, policies, surroundings).run()
}

/** A route that may be served, while it is attached. */
interface Served {
  readonly route: Route
  readonly parents: readonly Parent[]
  readonly backends: readonly Backend[]
  /** On the listeners that serve. */
  readonly attachments: readonly Attachment[]
}

/** What a file with routes will give. */
interface FileDraft {
  /** Absolute. */
  readonly path: string
  readonly servings: Serving[]
  readonly keys: string[]
  readonly warnings: Diagnostic[]
  /** Warnings beyond those that are shown. */
  more: number
}

/** 20: all that is wrong with a file is said at once, but not without end. */
const MOST_WARNINGS = 20

const NOT_SERVED = ["HTTPRoute", "GRPCRoute", "UDPRoute"] as const

class Attaching {
  private readonly objects: Objects
  private readonly surroundings: Surroundings
  private readonly parents: Parents
  private readonly contests: Contests
  private readonly effective: EffectivePolicies
  private readonly backendTls: BackendTls
  private readonly backends: Backends
  private readonly hasBackendTls: boolean
  private readonly files = new Map<string, FileDraft>()
  private readonly listenerKeys = new Map<ListenerState, string>()
  private readonly states: ObjectState[] = []
  private readonly annotated = new Set<Service>()

  constructor(objects: Objects, listeners: readonly ListenerState[], policies: Policies, surroundings: Surroundings) {
    this.objects = objects
    this.surroundings = surroundings
    this.parents = new Parents(objects, listeners)
    this.contests = new Contests(surroundings)
    this.effective = new EffectivePolicies(policies, objects.all("TidegatePolicy").length > 0)
    this.backendTls = new BackendTls(objects, surroundings)
    this.backends = new Backends(objects, this.backendTls, surroundings)
    this.hasBackendTls = objects.all("BackendTLSPolicy").length > 0
  }

  run(): Compiled {
    const served: Served[] = []
    for (const route of this.objects.all("TCPRoute")) served.push(this.attach(route))
    for (const route of this.objects.all("TLSRoute")) served.push(this.attach(route))
    // Who has which traffic is known once all are attached.
    for (const each of served) this.serve(each)
    for (const kind of NOT_SERVED) for (const route of this.objects.all(kind)) this.turnAway(route)
    for (const [policy, ancestors] of this.backendTls.statuses())
      this.states.push(stateOf(this.surroundings, policy, { ancestors }))
    const parts = new Map<string, Part>()
    for (const [file, draft] of this.files) parts.set(file, partOf(draft))
    return { parts, objects: this.states }
  }

  private attach(route: Route): Served {
    const backends = (route.body.spec.rules[0]?.backendRefs ?? []).map((ref, i) => {
      const backend = this.backends.resolve(route, ref)
      if (backend.problem !== undefined)
        this.warn(route, ["spec", "rules", 0, "backendRefs", i], backend.problem.message)
      else this.warnOf(backend.found.service)
      return backend
    })
    const parents = this.parentsOf(route)
    const attachments: Attachment[] = []
    const seen = parents.length > 1 ? new Set<ListenerState>() : undefined
    for (const parent of parents) {
      for (const match of parent.matches) {
        // Two references may lead to one listener.
        if (seen?.has(match.listener) === true) continue
        seen?.add(match.listener)
        this.count(match, backends)
        if (!match.listener.serves) continue
        const attachment: Attachment = { route, match }
        this.contests.enter(attachment)
        attachments.push(attachment)
      }
    }
    return { route, parents, backends, attachments }
  }

  private count({ listener }: Match, backends: readonly Backend[]): void {
    listener.attachedRoutes++
    if (!this.hasBackendTls) return
    for (const { found } of backends)
      if (found !== undefined) this.backendTls.leads(listener.gateway, found.service, listener.mode !== "Passthrough")
  }

  private serve({ attachments, backends, parents, route }: Served): void {
    const outcomes: OutcomeOf[] = []
    for (const attachment of attachments) {
      const { listener } = attachment.match
      const outcome = this.contests.outcome(attachment)
      outcomes.push({ listener, outcome })
      if (outcome.won.length === 0) continue
      if (outcome.won.includes(listener.hostname)) listener.isTaken = true
      this.draft(route, listener, outcome, backends)
    }
    const dropped = route.body.spec.rules.length - 1
    const { surroundings } = this
    const status = () => routeStatus(surroundings, route, parents, { backends, outcomes, dropped })
    this.states.push(laterStateOf(surroundings, route, status))
  }

  private draft(route: Route, listener: ListenerState, { won }: Outcome, backends: readonly Backend[]): void {
    const effective = this.effective.of(route, listener)
    const refs = route.body.spec.rules[0]?.backendRefs ?? []
    const { index, source } = route.document
    let key = `${source.digest}#${index} ${this.listenerKey(listener)} ${effective.key}`
    for (const pattern of won) key += ` ${pattern ?? "*"}`
    const shares = backends.map(({ found, problem }, i): Share => {
      const weight = refs[i]?.weight ?? 1
      const destination =
        found === undefined ? refused(problem.message) : this.backends.destination(found, listener, effective)
      key += `\n${weight} ${destination.key}`
      return { destination, weight }
    })
    // Any free port is that of one file: that of the listener.
    const draft = this.fileOf(listener.port === 0 ? listener.owner : route)
    draft.servings.push({ route, listener, patterns: won, shares, effective })
    draft.keys.push(key)
  }

  private listenerKey(listener: ListenerState): string {
    let key = this.listenerKeys.get(listener)
    if (key === undefined) {
      key = digestOf(JSON.stringify([listener.listen, listener.mode, listener.terminateKey]))
      this.listenerKeys.set(listener, key)
    }
    return key
  }

  private turnAway(route: AnyRoute): void {
    const status = routeStatus(this.surroundings, route, this.parentsOf(route), undefined)
    this.states.push(stateOf(this.surroundings, route, status))
  }

  private parentsOf(route: AnyRoute): readonly Parent[] {
    const { orphans, parents } = this.parents.of(route)
    for (const { index, message } of orphans) this.warn(route, ["spec", "parentRefs", index], message)
    for (const { index, refusal } of parents)
      if (refusal !== undefined)
        this.warn(route, ["spec", "parentRefs", index], `${refusal.reason}: ${refusal.message}`)
    return parents
  }

  /** What is wrong with the annotations of a Service is said once, in its own file. */
  private warnOf(service: Service): void {
    const annotated = this.backends.annotated(service)
    if (annotated === undefined || this.annotated.has(service)) return
    this.annotated.add(service)
    for (const note of annotated.notes) this.warn(service, ["metadata", "annotations"], note)
  }

  private warn(object: AnyRoute | Service, path: readonly PropertyKey[], message: string): void {
    const draft = this.fileOf(object)
    if (draft.warnings.length < MOST_WARNINGS) draft.warnings.push(problemAt(object.document, path, message))
    else draft.more++
  }

  private fileOf({ document }: AnyObject): FileDraft {
    const { file, path } = document.source
    let draft = this.files.get(file)
    if (draft === undefined) this.files.set(file, (draft = { path, servings: [], keys: [], warnings: [], more: 0 }))
    return draft
  }
}

function partOf({ keys, more, path, servings, warnings }: FileDraft): Part {
  const modules: ModuleRequest[] = []
  for (const { effective } of servings) {
    if (effective.code === undefined) continue
    const { policy, value } = effective.code
    if (modules.some(({ specifier }) => specifier === value.module)) continue
    modules.push({ specifier: value.module, place: policy.document.place(["spec", "policy", "module"]) })
  }
  const last = warnings.at(-1)
  const all = more === 0 || last === undefined ? warnings : [...warnings, { ...last, message: `and ${more} more` }]
  return {
    key: digestOf(keys.join("\n\n")),
    modules,
    contents: (loaded) => contentsOf(path, servings, loaded),
    problems: [],
    warnings: all,
  }
}

function contentsOf(path: string, servings: readonly Serving[], modules: Modules): Contents | readonly Diagnostic[] {
  const rules: Rule[] = []
  const problems: Diagnostic[] = []
  const pools = new Map<string, PoolSpec>()
  const owners = new Map<string, Route>()
  for (const serving of servings) {
    const made = rulesOf(serving, modules)
    if (made.problems !== undefined) {
      // One policy may be that of many routes.
      for (const problem of made.problems)
        if (!problems.some(({ line, message }) => line === problem.line && message === problem.message))
          problems.push(problem)
      continue
    }
    rules.push(...made.rules)
    for (const { destination, weight } of serving.shares) {
      const { pool } = destination
      if (pool === undefined || weight === 0 || pools.has(pool.name)) continue
      pools.set(pool.name, pool.spec())
      owners.set(pool.name, serving.route)
    }
  }
  if (problems.length > 0) return problems
  return {
    setup: undefined,
    rules,
    pools,
    geoip: [],
    limits: [],
    placeOfPool: (name) => {
      const route = owners.get(name) ?? servings[0]?.route
      return route?.document.place(["spec", "rules", 0, "backendRefs"]) ?? { path }
    },
  }
}
