// Smooth weighted round-robin, as nginx does it: everyone gains its weight, the richest is picked and pays the total.
// Over one total's worth of picks each comes up exactly as often as its weight, spread evenly.
//
// Who cannot be picked this time (no room, tried already) neither gains nor pays. So the others share that pick by their
// weights as if it were not there, their turns still add up to the same, and it goes on later from where it stood: it
// does not make up for what it could not take.
import type { Member } from "../member.ts"

/** The first `count` candidates take part. `undefined` when that is 0. */
export function nextInTurn(candidates: readonly Member[], count: number, now: number): Member | undefined {
  let next: Member | undefined = undefined
  let total = 0
  for (let i = 0; i < count; i++) {
    const member = candidates[i]!
    const weight = member.weightAt(now)
    total += weight
    member.turn += weight
    if (next === undefined || member.turn > next.turn) next = member
  }
  if (next !== undefined) next.turn -= total
  return next
}

/**
 * Turns of unchanged weights stay within one total. A larger one is from before the weights changed: it would be worth as
 * many picks in a row as the old weight was larger.
 */
export function boundTurns(members: readonly Member[]): void {
  let total = 0
  for (const member of members) total += member.weight
  for (const member of members) member.turn = Math.max(-total, Math.min(total, member.turn))
}
