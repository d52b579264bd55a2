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
 * The objects that have a status.
 * @param isUp whether a listener of ours is open, by its identity; `undefined` where that is not known
 */
export function withListeners(
  objects: readonly ObjectState[],
  isUp: (identity: string) => boolean | undefined,
): readonly PrintedObject[] {
  return objects.flatMap((object) => (object.status === undefined ? [] : [printed(object, isUp)]))
}

function printed(object: ObjectState, isUp: (identity: string) => boolean | undefined): PrintedObject {
  const { apiVersion, generation, kind, name, namespace, serves, written } = object
  const { managedFields: _____, ...kept } = loose(written["metadata"])
  const metadata = {
    ...kept,
    ...withoutCopy(kept["annotations"]),
    name,
    ...(namespace === "" ? {} : { namespace }),
    generation,
  }
  const { apiVersion: _, kind: __, metadata: ___, status: ____, ...body } = written
  const down = new Map(
    [...(serves ?? [])].flatMap(([listener, identities]) => {
      const missing = identities.filter((identity) => isUp(identity) === false)
      return missing.length === 0 ? [] : [[listener, missing] as const]
    }),
  )
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
  down: ReadonlyMap<string, readonly string[]>,
): Readonly<Record<string, unknown>> {
  const listeners = Array.isArray(status["listeners"]) ? status["listeners"].map(loose) : []
  const changed = listeners.map((listener) => {
    const missing = down.get(String(listener["name"]))
    if (missing === undefined) return listener
    return { ...listener, conditions: unprogrammed(listener["conditions"], "Pending", missing) }
  })
  const open = changed.some(({ conditions }) => conditionsOf(conditions).some(isProgrammed))
  const all = [...down.values()].flat()
  return {
    ...status,
    ...(open ? {} : { conditions: unprogrammed(status["conditions"], "Pending", all) }),
    listeners: changed,
  }
}

function unprogrammed(conditions: unknown, reason: string, missing: readonly string[]): readonly Condition[] {
  return conditionsOf(conditions).map((condition) =>
    isProgrammed(condition)
      ? { ...condition, status: "False", reason, message: `not open: ${missing.join(", ")}; the gateway tries again` }
      : condition,
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
