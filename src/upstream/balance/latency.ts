// Where connecting is quickest: peak-EWMA, as Finagle and Linkerd do it. A connect time above the average is the average
// at once; below it, the average follows slowly. Connections multiply it, so that the quickest is not flooded.
//
// What is measured fades, so that a slow target is tried again, by one connection at a time: picking it makes it as slow
// as it was known to be, until it is measured anew or fades again.
import { fits, type Balancer, type Request } from "../balance.ts"
import type { Member } from "../member.ts"

/**
 * 10 s, as in Finagle and Linkerd: an average keeps 37 % of what it was this much earlier. A target 100 times as slow as
 * the others is tried again after 47 s, one 1,000 times as slow after 69 s.
 */
const FADING = 10_000
const HALF_LIFE = FADING * Math.LN2
/** 2^-n: after 64 half-lives, 7 minutes, nothing is left. */
const HALVES = Float64Array.from({ length: 64 }, (_, n) => 2 ** -n)
/** 0.1 ms: below that it is this process that is measured. As a floor it keeps a cost above 0, so that connections count. */
const QUICKEST = 0.1
/** 5 s, the usual time-out: what an attempt counts as that failed, however soon. Else a target that refuses would be the quickest. */
export const FAILED = 5000
/** 1 s, until the first measurement of a target that is being tried: what one lost SYN costs (RFC 6298 section 2). */
const UNKNOWN = 1000

/**
 * Takes down how long connecting took.
 * @param ms milliseconds; {@link FAILED} for an attempt that failed
 * @param now on the clock of `performance.now()`
 */
export function measured(member: Member, ms: number, now: number): void {
  const time = Math.max(QUICKEST, ms)
  if (member.measuredAt === 0 || time >= member.latency) member.latency = time
  else {
    const kept = Math.exp((member.measuredAt - now) / FADING)
    member.latency = member.latency * kept + time * (1 - kept)
  }
  member.measuredAt = now
}

/** A target has come back: it is tried like one that was never measured, not when its failures have faded. */
export function forget(member: Member): void {
  member.latency = 0
  member.measuredAt = 0
  member.triedAt = 0
}

export class Latency implements Balancer {
  private members: readonly Member[] = []

  update(usable: readonly Member[]): void {
    this.members = usable
  }

  pick(request: Request): Member | undefined {
    const { members } = this
    const { now } = request
    let least = Infinity
    let picked: Member | undefined = undefined
    for (let i = 0; i < members.length; i++) {
      const member = members[i]!
      if (!fits(member, request)) continue
      const cost = (latencyAt(member, now) * (member.active + 1)) / member.weightAt(now)
      if (cost < least) {
        least = cost
        picked = member
      }
    }
    if (picked !== undefined) picked.triedAt = now
    return picked
  }
}

/** Milliseconds; 0 for what was never tried. */
function latencyAt(member: Member, now: number): number {
  const since = Math.max(member.measuredAt, member.triedAt)
  if (since === 0) return 0
  const latency = member.measuredAt === 0 ? UNKNOWN : member.latency
  return latency * fade(now - since)
}

/** e^(-age / FADING) within 6 %: right at each half-life and straight between them. Math.exp for 100 members takes most of a microsecond. */
function fade(age: number): number {
  const lives = age / HALF_LIFE
  const whole = Math.trunc(lives)
  return (HALVES[whole] ?? 0) * (1 - (lives - whole) / 2)
}
