// Looks at a path without failing: files come and go while the folder is read.
import { realpathSync, statSync, type BigIntStats } from "node:fs"

/** `undefined` for whatever cannot be looked at: missing, forbidden, a loop of links, no path at all. */
export function lookAt(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false })
  } catch {
    // Why does not matter here; reading the file says it, where somebody wants to read it.
    return undefined
  }
}

/** The path with its links resolved, or as it is when it is gone. */
export function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    // What is gone is met again, and reported, when it is read.
    return path
  }
}
