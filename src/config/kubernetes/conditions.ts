// Conditions of objects, as Kubernetes has them, and the order in which objects come before each other.
import { byName } from "../compile.ts"
import type { Condition, ConditionStatus, Surroundings } from "../manifests/document.ts"
import { titleOf } from "./objects.ts"
import type { AnyObject } from "./types.ts"

/** A condition without what follows from its object. */
export interface Said {
  readonly type: string
  readonly status: ConditionStatus
  readonly reason: string
  readonly message: string
}

export function isTrue(type: string, reason: string, message: string): Said {
  return { type, status: "True", reason, message }
}

export function isFalse(type: string, reason: string, message: string): Said {
  return { type, status: "False", reason, message }
}

/** 32,768 characters: a cluster takes no longer message (metav1.Condition). */
const LONGEST_MESSAGE = 32_768

/**
 * The conditions of an object, or of a part of it.
 * @param part what tells it from the others of the object: `listeners db`, or `""` for the object as a whole
 */
export function conditions(
  surroundings: Surroundings,
  object: AnyObject,
  part: string,
  said: readonly Said[],
): readonly Condition[] {
  const owner = part === "" ? titleOf(object) : `${titleOf(object)} ${part}`
  const observedGeneration = generationOf(surroundings, object)
  return said.map(({ message, reason, status, type }) => ({
    type,
    status,
    observedGeneration,
    lastTransitionTime: surroundings.since(owner, type, status),
    reason,
    message: message.length > LONGEST_MESSAGE ? `${message.slice(0, LONGEST_MESSAGE - 3)}...` : message,
  }))
}

/** What the cluster says, or what we counted. */
export function generationOf(surroundings: Surroundings, { document, metadata }: AnyObject): number {
  return metadata.generation ?? surroundings.generation(document)
}

/** The oldest first, then by namespace and name. */
export function inOrderOfAge<O extends AnyObject>(surroundings: Surroundings, objects: readonly O[]): readonly O[] {
  return objects
    .map((object) => ({ object, created: surroundings.created(object.document) }))
    .sort((a, b) => a.created - b.created || byNamespaceAndName(a.object, b.object))
    .map(({ object }) => object)
}

/** As {@link inOrderOfAge}, for sorting what belongs to objects. */
export function byAge(surroundings: Surroundings, a: AnyObject, b: AnyObject): number {
  return surroundings.created(a.document) - surroundings.created(b.document) || byNamespaceAndName(a, b)
}

/** By `namespace/name`, as Gateway API orders what is equally old. */
function byNamespaceAndName({ metadata: a }: AnyObject, { metadata: b }: AnyObject): number {
  return byName(`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`)
}
