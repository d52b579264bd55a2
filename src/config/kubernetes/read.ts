// One Kubernetes object, from a document to a value that its schema has taken.
import type { ObjectDocument, Read } from "../manifests/document.ts"
import { kindOf } from "./kinds.ts"
import type { AnyObject } from "./types.ts"

/** What is no business of ours has neither value nor problems. */
export function readObject(document: ObjectDocument): Read<AnyObject> {
  const { kind, problems, warnings } = kindOf(document)
  if (kind === undefined) return { value: undefined, problems, warnings }
  const {
    annotations = {},
    creationTimestamp,
    generation,
    labels = {},
  } = (document.value as { metadata: Record<string, never> }).metadata
  const { name, namespace } = document.head
  const metadata = { name, namespace, annotations, labels, generation, creationTimestamp }
  return { value: { kind, document, metadata, body: document.value } as unknown as AnyObject, problems, warnings }
}
