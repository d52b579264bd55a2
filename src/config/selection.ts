// What is known of each file, and which of its versions is chosen to serve.
import { findConflict } from "./compile.ts"
import { diagnostic, renderDiagnostic, type Diagnostic } from "./diagnostic.ts"
import { placeOfExport } from "./failure.ts"
import type { Node } from "./module-graph.ts"
import type { FileState } from "./snapshot.ts"
import type { Version } from "./version.ts"

/** What is known of one file, from load to load. */
export interface Known {
  /** The version that serves, or did last. Held. */
  good: Version | undefined
  /** The version that the latest snapshot has. Used. */
  selected: Version | undefined
  /** The newest text that could be evaluated. Held. */
  candidate: Version | undefined
  /** The newest text, when it could not be evaluated or set up. */
  failed: { readonly hash: string; readonly problems: readonly Diagnostic[] } | undefined
}

/** One file as one load finds it. */
export interface Found {
  readonly file: string
  readonly path: string
  readonly node: Node
  readonly hash: string
  /** What is wrong with its text and with what it imports. */
  readonly problems: readonly Diagnostic[]
  readonly known: Known
}

/** What becomes of one file in one load. */
export interface Turn {
  readonly found: Found
  readonly problems: Diagnostic[]
  choice: Version | undefined
}

/** Chooses a version of each file so that no two contradict each other: the newest, else the last good one, else none. */
export function choose(found: readonly Found[]): Turn[] {
  const turns = found.map(newest)
  for (let conflict = nextConflict(turns); conflict !== undefined; conflict = nextConflict(turns)) {
    const { message, turn } = conflict
    const { known, node } = turn.found
    const place = placeOfExport(node.module, "listen")
    turn.problems.push(diagnostic(place, message, "the file that was saved last has to give way", node.module.text))
    turn.choice = turn.choice === known.good ? undefined : known.good
  }
  return turns
}

/** The choice serves from the next commit on. */
export function take({ choice, found: { known } }: Turn): void {
  const { good, selected } = known
  choice?.use()
  known.selected = choice
  selected?.unuse()
  if (choice === undefined || choice === good) return
  choice.hold()
  known.good = choice
  good?.drop()
}

/** A version whose `setup` failed serves no more, until its text changes or it is tried again. */
export function reject(known: Known, version: Version): void {
  for (const role of ["candidate", "good"] as const) {
    if (known[role] !== version) continue
    known[role] = undefined
    version.drop()
  }
}

/** The file is gone. */
export function drop({ candidate, good, selected }: Known): void {
  selected?.unuse()
  good?.drop()
  candidate?.drop()
}

export function stateOf({ choice, found, problems }: Turn): FileState {
  const state = problems.length === 0 ? "good" : choice === undefined ? "bad" : "kept"
  const rendered = problems.map((problem) => renderDiagnostic(problem))
  return Object.freeze({ file: found.file, state, version: choice?.facts.hash, problems: Object.freeze(rendered) })
}

function newest(found: Found): Turn {
  const { hash, known } = found
  const problems = found.problems.length > 0 || known.failed?.hash !== hash ? found.problems : known.failed.problems
  const choice = problems.length === 0 && known.candidate?.facts.hash === hash ? known.candidate : known.good
  return { found, problems: [...problems], choice }
}

function nextConflict(turns: readonly Turn[]): { turn: Turn; message: string } | undefined {
  const contenders = turns.flatMap((turn) => {
    if (turn.choice === undefined) return []
    const { exports, file, savedAt } = turn.choice.facts
    return { turn, file, savedAt, listen: exports.listen }
  })
  const conflict = findConflict(contenders)
  return conflict === undefined ? undefined : { turn: conflict.loser.turn, message: conflict.message }
}
