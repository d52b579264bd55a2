// The rule of each listener that is bound: it is asked last, and denies what no route takes. So the port is bound before
// there is a route, and names that nobody serves are refused.
import { createHash } from "node:crypto"
import { deny, next } from "../../policy/decision.ts"
import type { Contents, Rule } from "../contents.ts"
import type { Diagnostic, Place } from "../diagnostic.ts"
import type { ObjectDocument, Part } from "../manifests/document.ts"
import type { Listener } from "./listener.ts"
import { titleOf } from "./objects.ts"

/** What a rule is made of. */
interface Draft {
  readonly listener: Listener
  readonly title: string
  readonly reason: string
  readonly place: Place
}

/** By file. */
export function listenerParts(
  listeners: readonly Listener[],
  warnings: ReadonlyMap<string, readonly Diagnostic[]>,
): ReadonlyMap<string, Part> {
  const drafts = new Map<string, Draft[]>([...warnings.keys()].map((file) => [file, []]))
  for (const listener of listeners) {
    if (listener.binds.length === 0) continue
    const { document } = listener.owner
    const draft = draftOf(listener, document)
    const known = drafts.get(document.source.file)
    if (known === undefined) drafts.set(document.source.file, [draft])
    else known.push(draft)
  }
  return new Map([...drafts].map(([file, of]) => [file, partOf(of, warnings.get(file) ?? [])]))
}

function draftOf(listener: Listener, document: ObjectDocument): Draft {
  const { index, mode, owner, refuses, spec } = listener
  const what = mode === undefined ? "takes connections" : "takes this name"
  const reason =
    refuses === undefined
      ? `no route of ${listener.title} ${what}`
      : `${listener.title} serves nobody: something is wrong with it, see its status`
  return { listener, title: `${titleOf(owner)}, listener ${spec.name}`, reason, place: placeOf(document, index) }
}

const places = new WeakMap<ObjectDocument, Map<number, Place>>()

/** Finding a place costs more than all the rest, and documents stay. */
function placeOf(document: ObjectDocument, index: number): Place {
  let known = places.get(document)
  if (known === undefined) places.set(document, (known = new Map()))
  let place = known.get(index)
  if (place === undefined) known.set(index, (place = document.place(["spec", "listeners", index, "port"])))
  return place
}

function partOf(drafts: readonly Draft[], warnings: readonly Diagnostic[]): Part {
  const key = createHash("sha256")
    .update(
      JSON.stringify(
        drafts.map(({ listener, place, reason, title }) => [
          title,
          reason,
          listener.isTaken,
          listener.binds,
          place.line,
          place.column,
        ]),
      ),
    )
    .digest("hex")
  return { key, modules: [], contents: () => contentsOf(drafts), problems: [], warnings }
}

function contentsOf(drafts: readonly Draft[]): Contents {
  return {
    setup: undefined,
    rules: drafts.map(ruleOf),
    pools: new Map(),
    geoip: [],
    limits: [],
    placeOfPool: () => drafts[0]!.place,
  }
}

function ruleOf({ listener, place, reason, title }: Draft): Rule {
  // A route may be asked after it: rules that are asked last come in the order of their files.
  const decision = listener.isTaken ? next : deny(reason)
  return {
    title,
    listen: listener.binds,
    deadline: undefined,
    connect: () => decision,
    closed: undefined,
    last: "fallback",
    route: undefined,
    place: () => place,
  }
}
