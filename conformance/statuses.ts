// The objects with their statuses, as the gateway tells them, and whether they say what is expected.
import { CONTROLLER } from "../src/config/kubernetes/tidegate-policy.ts"
import { readYaml } from "../src/config/yaml.ts"
import type { Field, ObjectCheck } from "./checks.ts"
import { list, record, type Manifested } from "./manifest.ts"

type Fields = Readonly<Record<string, unknown>>

export interface Shown {
  readonly kind: string
  readonly name: string
  readonly namespace: string
  readonly generation: unknown
  readonly status: Fields
}

/** @throws Error for what is no YAML */
export function readStatuses(text: string): readonly Shown[] {
  const { documents, problems } = readYaml("tidegate status", text)
  if (problems.length > 0) throw new Error(`tidegate status -o yaml: ${problems[0]!.message}`)
  return documents
    .map(({ value }) => record(value))
    .flatMap((value) => (value["kind"] === "List" ? list(value["items"]) : [value]))
    .map((value) => {
      const { generation, name, namespace } = record(value["metadata"])
      const status = record(value["status"])
      return { kind: String(value["kind"]), name: String(name), namespace: String(namespace ?? ""), generation, status }
    })
}

/** What a GatewayClass says that we can do. */
export function supportedFeatures(shown: readonly Shown[], className: string): readonly string[] | undefined {
  const found = shown.find(({ kind, name }) => kind === "GatewayClass" && name === className)
  const features = found?.status["supportedFeatures"]
  if (!Array.isArray(features)) return undefined
  return features.map((feature) => String(typeof feature === "string" ? feature : record(feature)["name"]))
}

/** How people read a check. */
export function titleOf({ field, kind, name, part }: ObjectCheck): string {
  const what = field.of === "condition" ? field.type : field.of
  return [kind.replace("*", ""), name, part, what].filter((each) => each !== undefined).join(" ")
}

/** What is wrong, or nothing. `manifests` are what a check without a name is about. */
export function objectFault(
  check: ObjectCheck,
  shown: readonly Shown[],
  namespace: string,
  manifests: readonly Manifested[],
): string | undefined {
  const objects = found(check, shown, namespace, manifests)
  if (objects.length === 0) return `expected ${wanted(check.field)}, found no such object in the status`
  for (const object of objects) {
    const fault = faultOf(check, object)
    if (fault !== undefined) return `expected ${wanted(check.field)}, found ${fault}`
  }
  return undefined
}

function found(
  check: ObjectCheck,
  shown: readonly Shown[],
  namespace: string,
  manifests: readonly Manifested[],
): Shown[] {
  const kinds = shown.filter(({ kind }) =>
    check.kind.startsWith("*") ? kind.endsWith(check.kind.slice(1)) : kind === check.kind,
  )
  if (check.name === undefined)
    return kinds.filter((object) => manifests.some(({ kind, name }) => kind === object.kind && name === object.name))
  const [name, where] = check.name.split("/").toReversed()
  const named = kinds.filter((object) => object.name === name && (where === undefined || object.namespace === where))
  const near = named.filter((object) => object.namespace === namespace)
  return near.length > 0 ? near : named
}

function wanted(field: Field): string {
  if (field.of === "condition")
    return `${field.status ?? "any status"}/${field.reason === "" ? "any reason" : field.reason}`
  if (field.of === "supportedKinds") return field.kinds.length === 0 ? "none" : field.kinds.join(", ")
  return String(field.count)
}

function faultOf({ field, part }: ObjectCheck, object: Shown): string | undefined {
  const { status } = object
  if (field.of === "addresses") return countFault(list(status["addresses"]).length, field.count)
  if (field.of === "attachedListenerSets") return countFault(status["attachedListenerSets"] ?? 0, field.count)
  if (field.of === "attachedRoutes" && part === undefined) return routesFault(list(status["listeners"]), field.count)
  const holders = holdersOf(object, part)
  if (holders.length === 0) return part === undefined ? "no status" : `nothing about ${part}`
  for (const holder of holders) {
    const fault = holderFault(field, holder, object)
    if (fault !== undefined) return fault
  }
  return undefined
}

/** What has conditions: the status, a listener in it, or what it says about each parent. */
function holdersOf({ kind, status }: Shown, part: string | undefined): readonly Fields[] {
  const [each, reference] = kind.endsWith("Route") ? ["parents", "parentRef"] : ["ancestors", "ancestorRef"]
  if (kind.endsWith("Route") || kind.endsWith("Policy"))
    return list(status[each!]).filter((holder) => {
      const { name, sectionName } = record(holder[reference!])
      const isOurs = holder["controllerName"] === CONTROLLER
      return isOurs && (part === undefined || [name, sectionName, `${name}/${sectionName}`].includes(part))
    })
  if (part !== undefined) return list(status["listeners"]).filter(({ name }) => name === part)
  return Object.keys(status).length === 0 ? [] : [status]
}

function holderFault(field: Field, holder: Fields, object: Shown): string | undefined {
  if (field.of === "condition") return conditionFault(field, list(holder["conditions"]), object.generation)
  if (field.of !== "supportedKinds") return countFault(holder[field.of] ?? 0, field.count)
  const kinds = list(holder["supportedKinds"]).map(({ kind }) => String(kind))
  const isRight = field.kinds.length === 0 ? kinds.length === 0 : field.kinds.every((kind) => kinds.includes(kind))
  return isRight ? undefined : kinds.length === 0 ? "none" : kinds.join(", ")
}

function conditionFault(
  { reason, status, type }: Extract<Field, { of: "condition" }>,
  conditions: readonly Fields[],
  generation: unknown,
): string | undefined {
  const condition = conditions.find((each) => each["type"] === type)
  if (condition === undefined)
    return `no such condition; there are ${conditions.map((each) => each["type"]).join(", ") || "none"}`
  const isRight =
    (status === undefined || condition["status"] === status) && (reason === "" || condition["reason"] === reason)
  if (!isRight) return `${condition["status"]}/${condition["reason"]} (${condition["message"] ?? ""})`
  // The suite takes no condition that speaks of an older version.
  if (condition["observedGeneration"] === generation) return undefined
  return `${condition["status"]}/${condition["reason"]} of generation ${condition["observedGeneration"]}, not of ${generation}`
}

function countFault(value: unknown, count: number): string | undefined {
  return value === count ? undefined : String(value)
}

/** Said of a Gateway as a whole, it is what each listener has, or all of them together. */
function routesFault(listeners: readonly Fields[], count: number): string | undefined {
  const counts = listeners.map(({ attachedRoutes }) => Number(attachedRoutes ?? 0))
  const total = counts.reduce((sum, each) => sum + each, 0)
  return total === count || (counts.length > 0 && counts.every((each) => each === count))
    ? undefined
    : counts.join(" and ")
}
