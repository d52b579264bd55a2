// What is known of each file, and which of its versions is chosen to serve.
import { findConflict } from "./compile.ts"
import { diagnostic, renderDiagnostic, type Diagnostic } from "./diagnostic.ts"
import type { Evaluation, Text } from "./evaluation.ts"
import { placeOfExport } from "./failure.ts"
import type { FileState } from "./snapshot.ts"
import { Version } from "./version.ts"

/** What is known of one file, from load to load. */
export interface Known {
  /** The version that serves, or did last. Held. */
  good: Version | undefined
  /** The version that the latest snapshot has. Used. */
  selected: Version | undefined
  /** The newest text that could be evaluated. Held. */
  candidate: Version | undefined
  /** The newest text, from the start of its evaluation until a load takes the result. */
  evaluation: Evaluation | undefined
  /** The newest text, when it could not be evaluated or set up. */
  failed: { readonly hash: string; readonly problems: readonly Diagnostic[] } | undefined
}

/** One file as one load finds it. */
export interface Found extends Text {
  /** What is wrong with its text and with what it imports. */
  readonly problems: readonly Diagnostic[]
  readonly known: Known
}

/** What becomes of one file in one load. */
export interface Turn {
  readonly found: Found
  readonly problems: Diagnostic[]
  /** What the newest text is waiting for, when it is not ready yet. */
  readonly loading: Diagnostic | undefined
  choice: Version | undefined
}

/** Whether the text is to be evaluated. */
export function isNew({ hash, known, problems }: Found, retryFailed: boolean): boolean {
  const { candidate, evaluation, failed } = known
  if (problems.length > 0 || candidate?.facts.hash === hash || evaluation?.hash === hash) return false
  return failed?.hash !== hash || retryFailed
}

/** What is under way for another text than this one is of no use any more. */
export function overtake(known: Known, hash: string): void {
  const { candidate, evaluation, good } = known
  if (evaluation !== undefined && evaluation.hash !== hash) {
    known.evaluation = undefined
    evaluation.abandon()
  }
  if (candidate !== undefined && candidate !== good && candidate.facts.hash !== hash && candidate.settingUp) {
    known.candidate = undefined
    candidate.drop()
  }
}

/** Takes what came of the evaluation. False when it is still under way. */
export function adopt(known: Known): boolean {
  const { candidate, evaluation } = known
  if (evaluation === undefined) return true
  const result = evaluation.take()
  if (result === undefined) return false
  known.evaluation = undefined
  if (result instanceof Version) known.candidate = result
  else {
    known.candidate = undefined
    known.failed = { hash: evaluation.hash, problems: result }
  }
  candidate?.drop()
  return true
}

/** The text is again that of the last good version. */
export function revert(known: Known, good: Version): void {
  const { candidate } = known
  good.hold()
  known.candidate = good
  known.failed = undefined
  candidate?.drop()
}

/** Chooses a version of each file so that no two contradict each other: the newest, else the last good one, else none. */
export function choose(found: readonly Found[]): Turn[] {
  const turns = found.map(newest)
  for (let conflict = nextConflict(turns); conflict !== undefined; conflict = nextConflict(turns)) {
    const { message, turn } = conflict
    const { known, node } = turn.found
    const place = placeOfExport(node.module, "listen")
    turn.problems.push(diagnostic(place, message, "the file that was saved last has to give way", node.module.text))
    turn.choice = turn.choice === known.good ? undefined : ready(known.good)
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
export function drop(known: Known): void {
  const { candidate, evaluation, good, selected } = known
  known.candidate = known.evaluation = known.good = known.selected = undefined
  evaluation?.abandon()
  selected?.unuse()
  good?.drop()
  candidate?.drop()
}

export function stateOf({ choice, found, loading, problems }: Turn): FileState {
  const fine = loading === undefined ? "good" : "loading"
  const state = problems.length === 0 ? fine : choice === undefined ? "bad" : "kept"
  const rendered = [...problems, ...(loading === undefined ? [] : [loading])].map((problem) =>
    renderDiagnostic(problem),
  )
  return Object.freeze({ file: found.file, state, version: choice?.facts.hash, problems: Object.freeze(rendered) })
}

function newest(found: Found): Turn {
  const { hash, known, node } = found
  const problems = found.problems.length > 0 || known.failed?.hash !== hash ? found.problems : known.failed.problems
  const last = ready(known.good)
  if (problems.length > 0) return { found, problems: [...problems], loading: undefined, choice: last }
  const evaluated = known.candidate?.facts.hash === hash ? known.candidate : undefined
  const choice = ready(evaluated)
  if (choice !== undefined) return { found, problems: [], loading: undefined, choice }
  const what = evaluated === undefined ? "top-level code" : "setup"
  const loading = diagnostic({ path: node.module.path }, `is still loading: its ${what} has not finished`)
  return { found, problems: [], loading, choice: last }
}

/** A version serves after its `setup` has settled. */
function ready(version: Version | undefined): Version | undefined {
  return version?.settingUp === true ? undefined : version
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
