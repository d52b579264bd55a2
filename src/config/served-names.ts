// The server names of a listener, for people: which files name which patterns, in the order of the files.
import { identity } from "../policy/listen.ts"
import type { ListenerPlan, PolicyVersion } from "./snapshot.ts"

/** Patterns that the same files name. */
export interface NameGroup {
  readonly files: readonly string[]
  /** `undefined`: every name, and none. */
  readonly patterns: readonly (string | undefined)[]
}

/** What of a plan has to do with names. */
type Named = Pick<ListenerPlan, "identity" | "names" | "policies">

/** Patterns with the files that name them; empty where no hello is read. */
export function nameGroups(plan: Named): readonly NameGroup[] {
  if (plan.names === undefined) return []
  const files = new Map<string | undefined, string[]>()
  for (const policy of plan.policies) {
    for (const pattern of patternsOf(plan, policy)) {
      const known = files.get(pattern)
      if (known === undefined) files.set(pattern, [policy.file])
      else known.push(policy.file)
    }
  }
  const groups = new Map<string, { files: string[]; patterns: (string | undefined)[] }>()
  for (const [pattern, of] of files) {
    const key = of.join("\n")
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { files: of, patterns: [pattern] })
    else group.patterns.push(pattern)
  }
  // What matches everything stands last: it is asked when nothing else matches.
  return [...groups.values()]
    .map((group) => ({ ...group, patterns: nameless(group.patterns) }))
    .sort((a, b) => Number(a.patterns.includes(undefined)) - Number(b.patterns.includes(undefined)))
}

function nameless(patterns: readonly (string | undefined)[]): (string | undefined)[] {
  const named = patterns.filter((pattern) => pattern !== undefined)
  return named.length === patterns.length ? named : [...named, undefined]
}

function patternsOf({ identity: id }: Named, { file, listen }: PolicyVersion): Set<string | undefined> {
  const patterns = new Set<string | undefined>()
  for (const { bind, pattern } of listen ?? []) if (identity(bind, file) === id) patterns.add(pattern)
  return patterns
}

/** 20: enough to recognise a listener; there may be 100,000. */
const SHOWN = 20

/** The patterns of a listener, the first of them by name; `"*"` matches every name, and none. */
export interface ServedNames {
  readonly count: number
  readonly first: readonly string[]
}

const served = new WeakMap<Named, ServedNames>()

/** `undefined` where no hello is read. */
export function servedNames(plan: Named): ServedNames | undefined {
  if (plan.names === undefined) return undefined
  let names = served.get(plan)
  if (names === undefined) {
    const patterns = nameGroups(plan).flatMap((group) => group.patterns)
    const all = nameless([...new Set(patterns)])
    names = { count: all.length, first: all.slice(0, SHOWN).map((pattern) => pattern ?? "*") }
    served.set(plan, names)
  }
  return names
}
