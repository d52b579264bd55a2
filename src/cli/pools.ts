// How pools are shown.
import type { PoolSpec } from "../policy/pool.ts"
import { printable } from "../observe/printable.ts"

/** 5: a pool may have 1,000 targets. */
const MOST_SHOWN = 5

/** `round-robin over tcp://db-1:5432, tcp://db-2:5432 (weight 2) and 3 more` */
export function shownPool({ balance, targets }: PoolSpec): string {
  const weighted = targets.some(({ weight }) => weight !== 1)
  const shown = targets.slice(0, MOST_SHOWN).map(({ priority, url, weight }) => {
    const facts = [...(weighted ? [`weight ${weight}`] : []), ...(priority > 0 ? [`priority ${priority}`] : [])]
    return `${printable(url)}${facts.length === 0 ? "" : ` (${facts.join(", ")})`}`
  })
  const more = targets.length - shown.length
  return `${balance} over ${shown.join(", ")}${more === 0 ? "" : ` and ${more} more`}`
}
