// Durations as people write them: "5 seconds", "250ms", or a number of milliseconds.
// A policy runs on Deno without effect, so this is not Effect's Duration, but reads its spellings.
import { describe } from "./describe.ts"

/** `"5 seconds"`, `"1.5 minutes"`, `"250ms"`, or milliseconds as a number. */
export type Duration = string | number

const UNITS: Record<string, number> = {
  ms: 1,
  milli: 1,
  millis: 1,
  millisecond: 1,
  milliseconds: 1,
  s: 1e3,
  sec: 1e3,
  secs: 1e3,
  second: 1e3,
  seconds: 1e3,
  m: 6e4,
  min: 6e4,
  mins: 6e4,
  minute: 6e4,
  minutes: 6e4,
  h: 36e5,
  hour: 36e5,
  hours: 36e5,
  d: 864e5,
  day: 864e5,
  days: 864e5,
}

/** 30 days: longer than any deadline that is meant, and short of where timers overflow. */
const LONGEST = 30 * 864e5

export class DurationInvalid extends Error {
  override readonly name = "DurationInvalid"
}

/** Milliseconds, 0 to 30 days. @throws DurationInvalid, naming `what` */
export function milliseconds(value: unknown, what: string): number {
  const parsed = typeof value === "number" ? value : typeof value === "string" ? parse(value) : Number.NaN
  if (!(parsed >= 0 && parsed <= LONGEST)) {
    throw new DurationInvalid(
      `${what}: ${describe(value)} is not a duration: expected one like "5 seconds", "250 ms" or a number of milliseconds, at most 30 days`,
    )
  }
  return parsed
}

function parse(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*$/i.exec(text)
  const unit = match === null ? undefined : UNITS[match[2]!.toLowerCase()]
  return unit === undefined ? Number.NaN : Number(match![1]) * unit
}
