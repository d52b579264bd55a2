// Policy versions -> listener plans: who is asked where and in which order, and which files contradict each other.
// Values only; nothing here touches a file.
import { identity, type ListenEntry } from "../policy/listen.ts"
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

/** The first conflict between files, if there is one. */
export function findConflict<C extends Contender>(contenders: readonly C[]): Conflict<C> | undefined {
  const limits = new Map<string, { readonly file: string; readonly value: number }>()
  for (const loser of contenders.toSorted((a, b) => a.savedAt - b.savedAt || byName(a.file, b.file))) {
    for (const { bind, maxConnections: value, url } of loser.listen ?? []) {
      if (value === undefined) continue
      const id = identity(bind, loser.file)
      const first = limits.get(id)
      if (first === undefined) limits.set(id, { file: loser.file, value })
      else if (first.value !== value) {
        const other = first.file === loser.file ? "further up" : `in ${first.file}`
        const message = `${url}: maxConnections is ${value} in ${loser.file} and ${first.value} ${other}; a listener has one value`
        return { loser, message }
      }
    }
  }
  return undefined
}

/** A plan without its use count. */
export type Plan = Omit<ListenerPlan, "usage">

interface Named {
  readonly entry: ListenEntry
  /** The policies that name the listener, by file. */
  readonly policies: Map<string, PolicyVersion>
  maxConnections: number | undefined
}

/** One plan per listener identity, in the order in which the files name them. Expects no conflict. */
export function compile(policies: readonly PolicyVersion[]): Map<string, Plan> {
  const everywhere = policies.filter(({ listen }) => listen === undefined)
  const plans = new Map<string, Plan>()
  for (const [id, { entry, maxConnections, policies: named }] of byListener(policies)) {
    plans.set(id, {
      identity: id,
      name: id.startsWith("tcp:") ? id.slice(4) : id,
      url: entry.url,
      bind: entry.bind,
      maxConnections,
      policies: Object.freeze([...named.values(), ...everywhere].sort((a, b) => byName(a.file, b.file))),
      files: Object.freeze([...named.keys()]),
    })
  }
  return plans
}

function byListener(policies: readonly PolicyVersion[]): Map<string, Named> {
  const listeners = new Map<string, Named>()
  for (const policy of policies.toSorted((a, b) => byName(a.file, b.file))) {
    for (const entry of policy.listen ?? []) {
      const id = identity(entry.bind, policy.file)
      let named = listeners.get(id)
      if (named === undefined) {
        named = { entry, policies: new Map(), maxConnections: undefined }
        listeners.set(id, named)
      }
      named.policies.set(policy.file, policy)
      named.maxConnections ??= entry.maxConnections
    }
  }
  return listeners
}

/** Whether a connection would meet the same under both. */
export function isSamePlan(a: Plan, b: Plan): boolean {
  return a.maxConnections === b.maxConnections && isSameList(a.policies, b.policies) && isSameList(a.files, b.files)
}

export function isSameList<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i])
}
