// The pools of all files together: which files contradict each other, and what stays the same from load to load.
import { isDeepStrictEqual } from "node:util"
import type { PoolSpec } from "../policy/pool.ts"
import { savedBefore, type Contender } from "./compile.ts"

/** A file with its pools. */
export interface PoolContender extends Contender {
  readonly pools: ReadonlyMap<string, PoolSpec>
}

export interface PoolConflict<C extends PoolContender> {
  readonly loser: C
  readonly name: string
  readonly message: string
}

/** The first pool that two files define differently, if there is one. */
export function findPoolConflict<C extends PoolContender>(contenders: readonly C[]): PoolConflict<C> | undefined {
  const claims = new Map<string, { readonly file: string; readonly spec: PoolSpec }>()
  for (const loser of contenders.toSorted(savedBefore)) {
    for (const [name, spec] of loser.pools) {
      const first = claims.get(name)
      if (first === undefined) claims.set(name, { file: loser.file, spec })
      else if (!isDeepStrictEqual(first.spec, spec))
        return { loser, name, message: difference(name, spec, loser.file, first.spec, first.file) }
    }
  }
  return undefined
}

function difference(name: string, spec: PoolSpec, file: string, other: PoolSpec, otherFile: string): string {
  const options = Object.keys(spec) as (keyof PoolSpec)[]
  const option = options.find((each) => !isDeepStrictEqual(spec[each], other[each]))
  return `pool ${name}: ${option} in ${file} is not that in ${otherFile}; a pool has one value of each option`
}

/** The pools of a snapshot. */
export interface PoolSet {
  readonly pools: ReadonlyMap<string, PoolSpec>
  /** The files that define each pool. */
  readonly poolFiles: ReadonlyMap<string, readonly string[]>
}

export const NO_POOLS: PoolSet = { pools: new Map(), poolFiles: new Map() }

/** Expects no conflict. What is equal in one of `before` is taken from there: then it is known that nothing changed. */
export function poolSet(
  files: readonly Omit<PoolContender, "savedAt" | "listen">[],
  before: readonly PoolSet[],
): PoolSet {
  const pools = new Map<string, PoolSpec>()
  const poolFiles = new Map<string, string[]>()
  for (const { file, pools: own } of files) {
    for (const [name, spec] of own) {
      const sharing = poolFiles.get(name)
      if (sharing !== undefined) sharing.push(file)
      else {
        poolFiles.set(name, [file])
        pools.set(
          name,
          before.map((set) => set.pools.get(name)).find((known) => isDeepStrictEqual(known, spec)) ?? spec,
        )
      }
    }
  }
  const made = { pools, poolFiles }
  return before.find((set) => isSameSet(set, made)) ?? made
}

function isSameSet(a: PoolSet, b: PoolSet): boolean {
  return (
    a.pools.size === b.pools.size &&
    [...a.pools].every(([name, spec]) => b.pools.get(name) === spec) &&
    isDeepStrictEqual(a.poolFiles, b.poolFiles)
  )
}
