// Policy versions -> listener plans: who is asked where and in which order, and which files contradict each other.
// Values only; nothing here touches a file.
import { formatHostPort } from "../policy/address.ts"
import { identity, type ListenEntry, type Scheme } from "../policy/listen.ts"
import { LISTENER_OPTIONS, mergeSettings, NO_SETTINGS, type ListenerSettings } from "../policy/listener-options.ts"
import { ServerNames } from "../policy/server-names.ts"
import type { ListenerPlan, PolicyVersion } from "./snapshot.ts"

/** What of a file takes part in a conflict. */
export interface Contender {
  readonly file: string
  /** Milliseconds since the epoch: in a conflict the later-saved file is the bad one, then the one later by name. */
  readonly savedAt: number
  readonly listen: readonly ListenEntry[] | undefined
}

export interface Conflict<C extends Contender> {
  readonly loser: C
  /** What of the loser it is about. */
  readonly entry: ListenEntry
  readonly message: string
}

/** By code point: the order of UTF-16 units, but for the halves of pairs, which stand for the code points above them. */
export function byName(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)]
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}

function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}

/** What the first file to name a listener says of it. */
interface Claim {
  readonly file: string
  readonly scheme: Scheme
  readonly url: string
  /** By option: who was the first to set it. */
  readonly settings: Map<keyof ListenerSettings, { readonly file: string; readonly value: Setting }>
}

type Setting = ListenerSettings[keyof ListenerSettings]

/** The order in which files may claim something. */
export function savedBefore(a: Contender, b: Contender): number {
  return a.savedAt - b.savedAt || byName(a.file, b.file)
}

/** The first conflict between files, if there is one. */
export function findConflict<C extends Contender>(contenders: readonly C[]): Conflict<C> | undefined {
  const claims = new Map<string, Claim>()
  for (const loser of contenders.toSorted(savedBefore)) {
    for (const entry of loser.listen ?? []) {
      const id = identity(entry.bind, loser.file)
      let claim = claims.get(id)
      if (claim === undefined) {
        claim = { file: loser.file, scheme: entry.scheme, url: entry.url, settings: new Map() }
        claims.set(id, claim)
      }
      const message = contradiction(claim, entry, loser.file)
      if (message !== undefined) return { loser, entry, message }
    }
  }
  return undefined
}

/** What contradicts the claim; what does not is added to it. */
function contradiction(claim: Claim, entry: ListenEntry, file: string): string | undefined {
  const { scheme, url } = entry
  if (scheme !== claim.scheme)
    return `${url} in ${file} and ${claim.url} in ${claim.file} are one address and port; a listener has one scheme`
  for (const name of LISTENER_OPTIONS) {
    const value = entry[name]
    if (value === undefined) continue
    const other = claim.settings.get(name)
    if (other === undefined) claim.settings.set(name, { file, value })
    else if (!isSameSetting(other.value, value)) {
      const where = other.file === file ? "further up" : `in ${other.file}`
      return `${url}: ${name} is ${shown(value)} in ${file} and ${shown(other.value)} ${where}; a listener has one value`
    }
  }
  return undefined
}

/** 200 characters: a list of addresses may be long. */
const LONGEST_VALUE = 200

function shown(value: Setting): string {
  const text = JSON.stringify(value)
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}...` : text
}

/** Settings are values with their fields in a fixed order. */
function isSameSetting(a: Setting, b: Setting): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b)
}

/** A plan without its use count. */
export type Plan = Omit<ListenerPlan, "usage">

interface Named {
  readonly entry: ListenEntry
  /** The policies that name the listener. */
  readonly policies: Set<PolicyVersion>
  /** Likewise, by SNI pattern. */
  readonly patterns: Map<string | undefined, Set<PolicyVersion>>
  settings: ListenerSettings
}

/** One plan per listener identity, in the order in which the files name them. Expects no conflict. */
export function compile(policies: readonly PolicyVersion[]): Map<string, Plan> {
  const everywhere = policies.filter(({ listen }) => listen === undefined).sort((a, b) => byName(a.file, b.file))
  const plans = new Map<string, Plan>()
  for (const [id, { entry, patterns, policies: named, settings }] of byListener(policies)) {
    const { bind, pattern, scheme, url } = entry
    const raw = scheme === "tcp"
    plans.set(id, {
      identity: id,
      name: id.startsWith("tcp:") ? id.slice(4) : id,
      url:
        pattern === undefined || bind.kind === "unix"
          ? url
          : `${scheme}://${formatHostPort(bind.address === "*" ? "" : bind.address, bind.port)}`,
      scheme,
      bind,
      ...settings,
      policies: Object.freeze(inOrder([...named], everywhere, raw)),
      names: raw ? undefined : namesOf(patterns, everywhere),
      files: Object.freeze([...new Set([...named].map(({ file }) => file))]),
    })
  }
  return plans
}

/** The order of asking: by name where all are asked alike, else those that name the listener first. */
function inOrder(
  named: readonly PolicyVersion[],
  everywhere: readonly PolicyVersion[],
  alike: boolean,
): PolicyVersion[] {
  const first = [...named.filter(({ last }) => last === false), ...everywhere]
  if (alike) first.sort((a, b) => byName(a.file, b.file))
  const after = named.filter(({ last }) => last === true)
  return [...first, ...after, ...named.filter(({ last }) => last === "fallback")]
}

/** For each pattern, the files that name it, then the files without `listen`. */
function namesOf(patterns: Named["patterns"], everywhere: readonly PolicyVersion[]): NonNullable<Plan["names"]> {
  const names = new ServerNames<readonly PolicyVersion[]>()
  // Most names of a long list are served by one and the same file.
  const lists = new Map<PolicyVersion, readonly PolicyVersion[]>()
  for (const [pattern, named] of patterns) {
    const files = [...named]
    const only = files.length === 1 ? files[0]! : undefined
    const list = (only && lists.get(only)) ?? inOrder(files, everywhere, false)
    if (only !== undefined) lists.set(only, list)
    names.set(pattern, list)
  }
  return names
}

function byListener(policies: readonly PolicyVersion[]): Map<string, Named> {
  const listeners = new Map<string, Named>()
  for (const policy of policies.toSorted((a, b) => byName(a.file, b.file))) {
    for (const entry of policy.listen ?? []) {
      const id = identity(entry.bind, policy.file)
      let named = listeners.get(id)
      if (named === undefined) {
        named = { entry, policies: new Set(), patterns: new Map(), settings: NO_SETTINGS }
        listeners.set(id, named)
      }
      named.policies.add(policy)
      const sharing = named.patterns.get(entry.pattern)
      if (sharing === undefined) named.patterns.set(entry.pattern, new Set([policy]))
      else sharing.add(policy)
      named.settings = mergeSettings(named.settings, entry)
    }
  }
  return listeners
}

/** Whether a connection would meet the same under both. Which names a policy serves is part of its version. */
export function isSamePlan(a: Plan, b: Plan): boolean {
  return (
    a.scheme === b.scheme &&
    LISTENER_OPTIONS.every((name) => isSameSetting(a[name], b[name])) &&
    isSameList(a.policies, b.policies) &&
    isSameList(a.files, b.files)
  )
}

export function isSameList<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i])
}
