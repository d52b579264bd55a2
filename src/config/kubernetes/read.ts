// One Kubernetes object, from a document to a value that its schema has taken: stricter than a cluster, which drops what it
// does not know.
import { diagnostic, type Diagnostic } from "../diagnostic.ts"
import { problemAt, type ObjectDocument, type Read } from "../manifests/document.ts"
import { shownFault, type Fault } from "../schema/faults.ts"
import { kindOf } from "./kind-of.ts"
import { readMetadata } from "./metadata.ts"
import type { AnyObject } from "./types.ts"

/** What is no business of ours has neither value nor problems. */
export function readObject(document: ObjectDocument): Read<AnyObject> {
  const { kind, problems, shape, warnings } = kindOf(document)
  if (shape === undefined) return { value: undefined, problems, warnings }
  const metadata = readMetadata(document)
  const body = shape(document.value)
  if ("faults" in metadata || "faults" in body) {
    const faults = [metadata, body].flatMap((read) => ("faults" in read ? read.faults : []))
    return { value: undefined, problems: inOrder(faults.map((fault) => problemOf(document, fault))), warnings }
  }
  // The table of kinds says which body belongs to which kind.
  const value = { kind, document, metadata: metadata.value, body: body.value } as AnyObject
  if (body.notes.length === 0) return { value, problems, warnings }
  const notes = body.notes.map(({ hint, message, path }) => problemAt(document, path, message, hint))
  return { value, problems, warnings: [...warnings, ...notes] }
}

/** As they stand in the text. */
function inOrder(problems: readonly Diagnostic[]): readonly Diagnostic[] {
  return problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
}

/** A name that should not be there is shown where it stands; one that is missing, at the name of what it belongs in. */
function problemOf(document: ObjectDocument, fault: Fault): Diagnostic {
  const { hint, missing, path, unknown } = fault
  const place = document.place(path, unknown === true || missing === true ? "key" : "value")
  return diagnostic(place, shownFault(fault), hint, document.source.shown)
}
