// How the server names of a listener are shown.
import { printable } from "../observe/printable.ts"

/** 5: a listener may serve 100,000 names. */
const MOST_SHOWN = 5

/** `a.example, *.b.example and 3 more`. `undefined` matches every name, and none. */
export function shownNames(patterns: readonly (string | undefined)[], most = MOST_SHOWN): string {
  const shown = patterns.slice(0, most).map((pattern) => (pattern === undefined ? "every other" : printable(pattern)))
  const more = patterns.length - shown.length
  return `${shown.join(", ")}${more === 0 ? "" : ` and ${more} more`}`
}
