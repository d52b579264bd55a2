// What is known of each file, and which of its versions is chosen to serve.
import { unfitRoute, unknownPool, type PoolLookup } from "../policy/check-route.ts"
import { findConflict } from "./compile.ts"
import type { Rule } from "./contents.ts"
import { diagnostic, renderDiagnostic, type Diagnostic, type Place } from "./diagnostic.ts"
import type { Evaluation, Text } from "./evaluation.ts"
import { findLimitConflict, limitsOf } from "./limit-claims.ts"
import { findPoolConflict } from "./pool-sets.ts"
import { poolLookup } from "./pool-spec.ts"
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
  /** What is wrong with its text and with what it imports: this text does not serve. */
  readonly problems: readonly Diagnostic[]
  /** What is wrong with parts of it: the others serve. */
  readonly faults: readonly Diagnostic[]
  readonly warnings: readonly Diagnostic[]
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
  const astray = new Set<Version>()
  for (;;) {
    const conflict = nextConflict(turns)
    const lost = conflict === undefined ? nextLostRoute(turns, astray) : undefined
    if (conflict !== undefined) {
      const { message, place, turn, text = textOf(turn) } = conflict
      const { known } = turn.found
      turn.problems.push(diagnostic(place, message, "the file that was saved last has to give way", text))
      turn.choice = turn.choice === known.good ? undefined : ready(known.good)
    } else if (lost !== undefined) {
      const { message, place, turn, version } = lost
      turn.problems.push(diagnostic(place, message, undefined, textOf(turn)))
      astray.add(version)
      // A version that serves goes on doing so: its other routes are as good as before.
      if (version !== turn.found.known.good) turn.choice = ready(turn.found.known.good)
    } else return turns
  }
}

/** The text that the places of a choice are in; not that of the file when an older version is chosen. */
function textOf({ choice }: Turn): string | undefined {
  return choice?.facts.held.entry.module.text
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
  if (choice !== undefined) return { found, problems: [...found.faults], loading: undefined, choice }
  const what = evaluated === undefined ? "top-level code" : "setup"
  const loading = diagnostic({ path: node.module.path }, `is still loading: its ${what} has not finished`)
  return { found, problems: [], loading, choice: last }
}

/** A version serves after its `setup` has settled. */
function ready(version: Version | undefined): Version | undefined {
  return version?.settingUp === true ? undefined : version
}

/** Why a choice cannot stand. */
interface Fault {
  readonly turn: Turn
  readonly message: string
  readonly place: Place
  /** The text that the place is in. @default that of the choice */
  readonly text?: string
}

function nextConflict(turns: readonly Turn[]): Fault | undefined {
  const contenders = turns.flatMap((turn) => {
    if (turn.choice === undefined) return []
    const { contents, file, held, savedAt } = turn.choice.facts
    const listen = contents.rules.flatMap((rule) => rule.listen ?? [])
    return { turn, contents, file, savedAt, listen, pools: contents.pools, limits: limitsOf(held) }
  })
  const conflict = findConflict(contenders)
  if (conflict !== undefined) {
    const { entry, loser, message } = conflict
    const rule = loser.contents.rules.find(({ listen }) => listen?.includes(entry) === true)!
    return { turn: loser.turn, message, place: rule.place("listen") }
  }
  const pools = findPoolConflict(contenders)
  if (pools !== undefined) {
    const { loser, message, name } = pools
    return { turn: loser.turn, message, place: loser.contents.placeOfPool(name) }
  }
  const limits = findLimitConflict(contenders)
  if (limits === undefined) return undefined
  const { loser, made, message } = limits
  return { turn: loser.turn, message, place: made.place, text: made.text }
}

/** The next route that could lead nowhere, of those that are known before there is a connection. */
function nextLostRoute(
  turns: readonly Turn[],
  known: ReadonlySet<Version>,
): (Fault & { version: Version }) | undefined {
  const versions = turns.flatMap(({ choice }) => choice ?? [])
  const pools = poolLookup(new Map(versions.flatMap(({ facts }) => [...facts.contents.pools])))
  for (const turn of turns) {
    const { choice: version } = turn
    if (version === undefined || known.has(version)) continue
    for (const rule of version.facts.contents.rules) {
      const message = lostRoute(rule, pools)
      if (message !== undefined) return { turn, version, message, place: rule.place("route") }
    }
  }
  return undefined
}

function lostRoute({ listen, route }: Rule, pools: PoolLookup): string | undefined {
  if (route === undefined) return undefined
  const hello = listen?.some(({ scheme }) => scheme === "tls") === true
  return unknownPool(route, pools) ?? unfitRoute(route, { hello, terminated: false }, pools)
}
