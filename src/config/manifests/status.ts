// Objects with their status as a cluster would print them, with what only a running gateway knows: which of its listeners
// are really open.
import type { Condition, ObjectState } from "./document.ts"

/** An object as `kubectl get -o yaml` has it. */
export interface PrintedObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string; readonly namespace?: string }
  readonly status?: Readonly<Record<string, unknown>>
}

/**
 * Of a listener of ours, for one file. down: the gateway tries again to open it. refused: the file has no part in it,
 * as its problems say.
 */
export type Serving = "served" | "down" | "refused"
/** By the listener's identity, for a file. */
type ServingOf = (identity: string, file: string) => Serving

/** What serves on the listeners of a snapshot. */
export function servingOf(
  listeners: ReadonlyMap<string, { readonly files: readonly string[] }>,
  isDown: (identity: string) => boolean,
): ServingOf {
  const files = new Map([...listeners].map(([identity, plan]) => [identity, new Set(plan.files)]))
  return (identity, file) => {
    if (files.get(identity)?.has(file) !== true) return "refused"
    return isDown(identity) ? "down" : "served"
  }
}

/** The objects that have a status. */
export function withListeners(objects: readonly ObjectState[], serving: ServingOf): readonly PrintedObject[] {
  return objects.flatMap((object) => (object.status === undefined ? [] : [printed(object, serving)]))
}

function printed(object: ObjectState, serving: ServingOf): PrintedObject {
  const { apiVersion, file, generation, kind, name, namespace, serves, written } = object
  const { managedFields: _____, ...kept } = loose(written["metadata"])
  const metadata = {
    ...kept,
    ...withoutCopy(kept["annotations"]),
    name,
    ...(namespace === "" ? {} : { namespace }),
    generation,
  }
  const { apiVersion: _, kind: __, metadata: ___, status: ____, ...body } = written
  const down = new Map<string, string>()
  for (const [listener, identities] of serves ?? []) {
    const such = (what: Serving) => identities.filter((identity) => serving(identity, file) === what).join(", ")
    const [refused, missing] = [such("refused"), such("down")]
    if (refused !== "") down.set(listener, `not served: ${refused}; the problems of ${file} say why`)
    else if (missing !== "") down.set(listener, `not open: ${missing}; the gateway tries again`)
  }
  const status = down.size === 0 ? object.status : withoutThem(loose(object.status), down)
  return { apiVersion, kind, metadata, ...body, ...(status === undefined ? {} : { status }) }
}

/** What kubectl notes of an object is all of it once more. */
const COPY = "kubectl.kubernetes.io/last-applied-configuration"

function withoutCopy(annotations: unknown): Readonly<Record<string, unknown>> {
  const { [COPY]: copy, ...rest } = loose(annotations)
  return copy === undefined ? {} : { annotations: rest }
}

/** A listener that is down is not programmed, and neither is a Gateway all of whose listeners are. */
function withoutThem(
  status: Readonly<Record<string, unknown>>,
  down: ReadonlyMap<string, string>,
): Readonly<Record<string, unknown>> {
  const listeners = Array.isArray(status["listeners"]) ? status["listeners"].map(loose) : []
  const changed = listeners.map((listener) => {
    const message = down.get(String(listener["name"]))
    if (message === undefined) return listener
    return { ...listener, conditions: unprogrammed(listener["conditions"], "Pending", message) }
  })
  const open = changed.some(({ conditions }) => conditionsOf(conditions).some(isProgrammed))
  const all = [...new Set(down.values())].join(". ")
  return {
    ...status,
    ...(open ? {} : { conditions: unprogrammed(status["conditions"], "Pending", all) }),
    listeners: changed,
  }
}

function unprogrammed(conditions: unknown, reason: string, message: string): readonly Condition[] {
  return conditionsOf(conditions).map((condition) =>
    isProgrammed(condition) ? { ...condition, status: "False", reason, message } : condition,
  )
}

function isProgrammed({ status, type }: Condition): boolean {
  return type === "Programmed" && status === "True"
}

function conditionsOf(value: unknown): readonly Condition[] {
  return Array.isArray(value) ? (value as readonly Condition[]) : []
}

function loose(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {}
}
