// Names of limits that policies make: each policy has its own.
import { createHash } from "node:crypto"

/** 100 characters, as names of limits have. */
const LONGEST = 100
const DIGITS = 12

/** The same over reloads; what is too long is told apart by its hash. */
export function limitName(owner: string, name: string): string {
  const whole = `${owner}: ${name}`.replaceAll(/\p{C}/gu, " ")
  if (whole.length <= LONGEST) return whole
  const hash = createHash("sha256").update(whole).digest("hex").slice(0, DIGITS)
  return `${whole.slice(0, LONGEST - DIGITS - 1)}~${hash}`.replaceAll(/[\uD800-\uDBFF](?=~)/g, "")
}
