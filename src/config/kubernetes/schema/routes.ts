// TCPRoute and TLSRoute in every version that is or was served, and the parents of the routes that are not served.
import { Schema } from "effect"
import { whole, word } from "../../schema/field.ts"
import { lenient, strict, type Note, type Shape } from "../shape.ts"
import type { OtherRouteBody, ParentReference, TCPRouteBody, TLSRouteBody } from "../types.ts"
import { hostname, listOf, namespaceName, port, reference, sectionName, type Issue } from "./names.ts"
import { withSpec } from "./object.ts"

const { Struct, optionalKey } = Schema

/** What the CRDs allow. */
const MOST_PARENTS = 32
const MOST_BACKENDS = 16
const MOST_HOSTNAMES = 1024
const HEAVIEST = 1_000_000
/** In v1alpha2; one since. */
const MOST_RULES = 16

const parent = Struct({
  ...reference,
  namespace: optionalKey(namespaceName),
  sectionName: optionalKey(sectionName),
  port: optionalKey(port),
}).annotate({ expected: "a reference like { name: gateway, sectionName: tls }" })

/** Two references to one parent name its sections or ports, and different ones. */
function sameParents(all: readonly ParentReference[]): readonly Issue[] {
  const parents = new Map<string, number>()
  const sections = new Map<string, number>()
  return all.flatMap((one, i) => {
    const key = JSON.stringify([one.group ?? "", one.kind ?? "", one.namespace ?? "", one.name])
    const exact = JSON.stringify([key, one.sectionName ?? "", one.port ?? 0])
    const first = parents.get(key)
    const same = sections.get(exact)
    if (same === undefined) sections.set(exact, i)
    if (first === undefined) parents.set(key, i)
    if (same !== undefined)
      return [{ path: [i], issue: `is parentRefs[${same}] once more: name another sectionName or port` }]
    const other = first === undefined ? undefined : all[first]
    if (other === undefined) return []
    return (["sectionName", "port"] as const)
      .filter((field) => (one[field] === undefined) !== (other[field] === undefined))
      .map((field) => ({
        path: one[field] === undefined ? [i] : [i, field],
        issue: `parentRefs[${first}] is the same parent: give both a ${field}, or neither`,
      }))
  })
}

/** An absent group or kind is that of a Gateway. */
const parentRefs = listOf(parent, 0, MOST_PARENTS, "parentRefs", (all) =>
  sameParents(all.map((one) => ({ group: "gateway.networking.k8s.io", kind: "Gateway", ...one }))),
)

const backend = Struct({
  ...reference,
  namespace: optionalKey(namespaceName),
  port: optionalKey(port),
  weight: optionalKey(whole(0, HEAVIEST)),
})
  .check(
    Schema.makeFilter(
      ({ group = "", kind = "Service", port: number }: { group?: string; kind?: string; port?: number }) =>
        group !== "" ||
        kind !== "Service" ||
        number !== undefined ||
        "port is missing: a Service is reached at one of its ports",
    ),
  )
  .annotate({ expected: "a reference like { name: db, port: 5432 }" })

const rule = Struct({
  name: optionalKey(sectionName),
  backendRefs: listOf(backend, 1, MOST_BACKENDS, "backendRefs"),
}).annotate({ expected: "a rule like { backendRefs: [{ name: db, port: 5432 }] }" })

function sameNames(all: readonly { readonly name?: string }[]): readonly Issue[] {
  const seen = new Map<string, number>()
  return all.flatMap(({ name }, i) => {
    const first = name === undefined ? undefined : seen.get(name)
    if (name !== undefined && first === undefined) seen.set(name, i)
    return first === undefined ? [] : [{ path: [i, "name"], issue: `is the name of rules[${first}] already` }]
  })
}

function rules(most: number) {
  return listOf(rule, 1, most, most === 1 ? "rule" : "rules", sameNames)
}

const common = {
  parentRefs: optionalKey(parentRefs),
  useDefaultGateways: optionalKey(word(["All", "None"])),
}

interface Common {
  readonly spec: { readonly useDefaultGateways?: string }
}

function notes({ spec }: Common): readonly Note[] {
  if (spec.useDefaultGateways === undefined || spec.useDefaultGateways === "None") return []
  const message = "has no effect here: there are no default Gateways; name the Gateway in parentRefs"
  return [{ path: ["spec", "useDefaultGateways"], message }]
}

export const tcpRoute: Shape<TCPRouteBody> = strict(withSpec(Struct({ ...common, rules: rules(1) })), notes)

export const tcpRouteAlpha: Shape<TCPRouteBody> = strict(
  withSpec(Struct({ ...common, rules: rules(MOST_RULES) })),
  notes,
)

export const tlsRoute: Shape<TLSRouteBody> = strict(
  withSpec(Struct({ ...common, hostnames: listOf(hostname, 1, MOST_HOSTNAMES, "hostnames"), rules: rules(1) })),
  notes,
)

/** v1alpha2: without hostnames, every name. */
export const tlsRouteAlpha: Shape<TLSRouteBody> = strict(
  withSpec(
    Struct({
      ...common,
      hostnames: optionalKey(listOf(hostname, 0, MOST_HOSTNAMES, "hostnames")),
      rules: rules(MOST_RULES),
    }),
  ),
  notes,
)

/** Their parents only: they are told that nobody serves them here. */
export const otherRoute: Shape<OtherRouteBody> = lenient(withSpec(Struct({ parentRefs: optionalKey(parentRefs) })))
