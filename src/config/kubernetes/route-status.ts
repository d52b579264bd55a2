// What is said of a route: for each parent that is ours, whether it is attached, whether all that it refers to is there,
// and who has its traffic if it is not the route itself.
import type { Surroundings } from "../manifests/document.ts"
import type { Backend } from "./backends.ts"
import { conditions, isFalse, isTrue, type Said } from "./conditions.ts"
import type { Outcome } from "./contests.ts"
import type { Hostname } from "./hostnames.ts"
import type { ListenerState } from "./listener-state.ts"
import { GATEWAY_GROUP, titleOf } from "./objects.ts"
import { list, type AnyRoute, type Parent } from "./parents.ts"
import { CONTROLLER } from "./tidegate-policy.ts"
import type { ParentReference } from "./types.ts"

/** A condition of ours: the route is attached, and another one gets the traffic. */
export const SUPERSEDED = "tidegate.dev/Superseded"

/** What becomes of a route's names on one listener. */
export interface OutcomeOf {
  readonly listener: ListenerState
  readonly outcome: Outcome
}

/** What there is to say of a route beside its parents. */
export interface RouteFacts {
  readonly backends: readonly Backend[]
  /** On the listeners that serve. */
  readonly outcomes: readonly OutcomeOf[]
  /** Rules behind the first one, which older versions allow. */
  readonly dropped: number
}

export function routeStatus(
  surroundings: Surroundings,
  route: AnyRoute,
  parents: readonly Parent[],
  facts: RouteFacts | undefined,
): Readonly<Record<string, unknown>> {
  const resolved = facts === undefined ? undefined : resolvedRefs(facts.backends)
  return {
    parents: parents.map((parent) => ({
      parentRef: shown(parent.ref).ref,
      controllerName: CONTROLLER,
      conditions: conditions(surroundings, route, shown(parent.ref).part, [
        parent.refusal ?? attached(parent, facts),
        ...(resolved === undefined ? [] : [resolved]),
        ...(facts === undefined ? [] : more(parent, facts)),
      ]),
    })),
  }
}

interface Shown {
  readonly ref: ParentReference
  readonly part: string
}

/** References are parts of documents, which stay. */
const shownRefs = new WeakMap<ParentReference, Shown>()

function shown(ref: ParentReference): Shown {
  let known = shownRefs.get(ref)
  if (known === undefined) shownRefs.set(ref, (known = { ref: shownRef(ref), part: partOf(ref) }))
  return known
}

/** As a cluster writes it, which fills in the defaults of the reference. */
function shownRef(ref: ParentReference): ParentReference {
  const { group = GATEWAY_GROUP, kind = "Gateway", name, namespace, port, sectionName } = ref
  return {
    group,
    kind,
    ...(namespace === undefined ? {} : { namespace }),
    name,
    ...(sectionName === undefined ? {} : { sectionName }),
    ...(port === undefined ? {} : { port }),
  }
}

function partOf({ kind = "Gateway", name, namespace = "", port, sectionName }: ParentReference): string {
  const what = sectionName === undefined && port === undefined ? "" : ` ${sectionName ?? ""}:${port ?? ""}`
  return `parent ${kind} ${namespace}/${name}${what}`
}

const ATTACHED = { type: "Accepted", status: "True", reason: "Accepted" } as const

function attached({ matches }: Parent, facts: RouteFacts | undefined): Said {
  const [first] = matches
  const where =
    matches.length === 1
      ? `listener ${first!.listener.spec.name}`
      : `listeners ${list(matches.map(({ listener }) => listener.spec.name))}`
  let but = ""
  for (const { listener } of matches) {
    const outcome = outcomeOn(listener, facts?.outcomes)
    const on = matches.length === 1 ? "" : `${listener.spec.name}: `
    if (outcome === undefined) but += `; ${on}it does not serve, see its conditions`
    else if (outcome.left.length > 0)
      but += `; ${on}${shownNames(outcome.left)} is left to listeners with a more specific hostname`
    if (outcome?.lost !== undefined) but += `; ${on}${supersededBy(outcome)}`
  }
  return { ...ATTACHED, message: `Attached to ${where}${but}` }
}

function outcomeOn(listener: ListenerState, outcomes: readonly OutcomeOf[] | undefined): Outcome | undefined {
  return outcomes?.find((each) => each.listener === listener)?.outcome
}

function supersededBy({ lost = NOBODY, won }: Outcome): string {
  return [...lost]
    .map(([route, names]) => {
      const what = names[0] === undefined || won.length === 0 ? "the traffic" : `the traffic of ${shownNames(names)}`
      return `${titleOf(route)} goes before it and gets ${what}`
    })
    .join("; ")
}

const NOBODY: NonNullable<Outcome["lost"]> = new Map()

function shownNames(names: readonly Hostname[]): string {
  return list(names.map((name) => name ?? "any name"))
}

function more({ matches }: Parent, { dropped, outcomes }: RouteFacts): readonly Said[] {
  const said: Said[] = []
  if (dropped > 0)
    said.push(
      isTrue(
        "PartiallyInvalid",
        "UnsupportedValue",
        `Dropped Rule: only the first rule is served, ${dropped} more cannot match anything else`,
      ),
    )
  const superseded: string[] = []
  for (const { listener } of matches) {
    const outcome = outcomeOn(listener, outcomes)
    if (outcome?.lost !== undefined) superseded.push(`listener ${listener.spec.name}: ${supersededBy(outcome)}`)
  }
  if (superseded.length > 0) said.push(isTrue(SUPERSEDED, "AnotherRouteGoesBefore", list(superseded)))
  return said
}

const ALL_RESOLVED = isTrue("ResolvedRefs", "ResolvedRefs", "All references are resolved")

function resolvedRefs(backends: readonly Backend[]): Said {
  let reason: string | undefined
  const messages: string[] = []
  const missing: string[] = []
  for (const { found, problem } of backends) {
    if (problem !== undefined) {
      reason ??= problem.reason
      messages.push(problem.message)
    } else if (found.endpoints.missing !== undefined) missing.push(found.endpoints.missing)
  }
  const refused = "connections that are to go there are refused"
  if (reason !== undefined) return isFalse("ResolvedRefs", reason, `${messages.join("; ")}; ${refused}`)
  if (missing.length === 0) return ALL_RESOLVED
  return isTrue("ResolvedRefs", "ResolvedRefs", `All references are resolved, but ${missing.join("; ")}: ${refused}`)
}
