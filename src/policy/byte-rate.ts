// Bytes per second as people write them: 65536, "512 KiB", "10 MB/s".
import { describe } from "./describe.ts"
import { LimitInvalid } from "./limits.ts"

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
}

/** 1 TB/s: more than any machine moves, and sums of it stay exact. */
const FASTEST = 1e12

/** Bytes per second, 1 to 10^12. @throws LimitInvalid, naming `what` */
export function parseByteRate(value: unknown, what: string): number {
  const rate = typeof value === "number" ? value : typeof value === "string" ? parse(value) : undefined
  if (rate !== undefined && rate >= 1 && rate <= FASTEST) return rate
  const bits = typeof value === "string" && BITS.test(value)
  throw new LimitInvalid(
    `${what}: ${describe(value)} is not a rate: expected bytes per second, like "512 KiB", "10 MB/s" or a number, 1 to 10^12${bits ? "; a small b is for bits, of which a byte has 8" : ""}`,
  )
}

/** "10 Mbit/s", "10 mbps", "10 Mb": 8 times less than the same with a large B. */
const BITS = /^[\d.\s]*[kmgt]i?(?:b|[bB]its?|[bB]ps)(?:\/s)?\s*$/i

function parse(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(?:bytes?|((?:[kKMGT]i?)?)B?)\s*(?:\/\s*s)?\s*$/.exec(text)
  if (match === null) return undefined
  const unit = UNITS[match[2] === "K" ? "k" : match[2] === "ki" ? "Ki" : (match[2] ?? "")]
  return unit === undefined ? undefined : Number(match[1]) * unit
}
