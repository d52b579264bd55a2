// Random values that are the same in every run, so that a failure can be run again.

export interface Random {
  /** 0 <= n < limit, whole. */
  below(limit: number): number
  pick<A>(items: readonly A[]): A
  /** A text of up to `longest` pieces: some of `alphabet`, some arbitrary characters. */
  text(alphabet: readonly string[], longest: number): string
}

/** mulberry32 */
export function random(seed: number): Random {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const below = (limit: number) => Math.floor(next() * limit)
  const pick = <A>(items: readonly A[]) => items[below(items.length)]!
  const text = (alphabet: readonly string[], longest: number) =>
    Array.from({ length: below(longest + 1) }, () =>
      below(20) === 0 ? String.fromCharCode(below(0x10000)) : pick(alphabet),
    ).join("")
  return { below, pick, text }
}
