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

/** By code point, which is the order of the bytes in UTF-8. */
export function byName(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
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

/** One plan per listener identity, in the order in which the files name them. Expects no conflict. */
export function compile(policies: readonly PolicyVersion[]): Map<string, Plan> {
  const sorted = policies.toSorted((a, b) => byName(a.file, b.file))
  const named = new Map<string, { entry: ListenEntry; files: Set<string>; maxConnections: number | undefined }>()
  for (const { file, listen } of sorted) {
    for (const entry of listen ?? []) {
      const id = identity(entry.bind, file)
      const known = named.get(id)
      if (known === undefined) {
        named.set(id, { entry, files: new Set([file]), maxConnections: entry.maxConnections })
        continue
      }
      known.files.add(file)
      known.maxConnections ??= entry.maxConnections
    }
  }
  const plans = new Map<string, Plan>()
  for (const [id, { entry, files, maxConnections }] of named) {
    plans.set(id, {
      identity: id,
      name: id.startsWith("tcp:") ? id.slice(4) : id,
      url: entry.url,
      bind: entry.bind,
      maxConnections,
      policies: Object.freeze(sorted.filter(({ file, listen }) => listen === undefined || files.has(file))),
      files: Object.freeze([...files]),
    })
  }
  return plans
}

/** Whether a connection would meet the same under both. */
export function isSamePlan(a: Plan, b: Plan): boolean {
  return a.maxConnections === b.maxConnections && isSameList(a.policies, b.policies) && isSameList(a.files, b.files)
}

export function isSameList<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i])
}
