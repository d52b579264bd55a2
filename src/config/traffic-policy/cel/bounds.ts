// What an expression may take of memory and time. Evaluations are synchronous and never within each other, so that there
// is one budget, filled anew for each.

/** 16 KiB: a list of some hundred networks fits; what is longer belongs into a list file. */
export const LONGEST_EXPRESSION = 16 * 1024
/** 32 brackets within each other: the parser and the planner call themselves for each. */
export const DEEPEST_BRACKETS = 32
/** 250 steps from the root of an expression to any leaf: as the brackets, with `!!x` and `a.b.c` counted too. */
export const DEEPEST_TREE = 250
/** 10,000 parts: each costs some 200 bytes for as long as the program is kept. */
export const MOST_PARTS = 10_000
/** 1 Mi characters and elements, all that is within counted: what is this large is no variable and no log line. */
export const LARGEST_VALUE = 1024 * 1024
/** 64 lists and maps within each other: what walks through values calls itself for each. */
export const DEEPEST_VALUE = 64
/** 1,000,000 units of some 10 to 50 ns: an expression that loops holds up every connection for 50 ms at most. */
export const WORK = 1_000_000
/** What one step of a loop is counted as: a typical one takes half a microsecond. */
export const STEP = 16

/** More than an expression may take; it is the policy that is wrong, not the connection. */
export class TooMuch extends Error {
  override readonly name = "TooMuch"
}

/** A value with lists and maps too deep within each other. */
export class TooDeep extends TooMuch {}

let left = WORK
let reason: TooMuch | undefined

/** To be called before each evaluation. */
export function refill(): void {
  left = WORK
  reason = undefined
}

/** Why the evaluation went out of its bounds, also where `||` took no notice of it. */
export function exceeded(): TooMuch | undefined {
  return reason
}

/** @throws TooMuch */
export function spend(units: number): void {
  left -= units
  if (left < 0) throw (reason = new TooMuch("it takes too long; are there loops within loops, or long lists?"))
}

/** Counts a text that was made, or is about to be. @throws TooMuch */
export function checkLength(length: number): void {
  if (length > LARGEST_VALUE)
    throw (reason = new TooMuch(`a text of more than ${LARGEST_VALUE} characters, which is the most`))
  spend(length >> 4)
}

/** @throws TooMuch */
export function checkWeight(weight: number, depth: number): void {
  if (weight > LARGEST_VALUE)
    throw (reason = new TooMuch(`a value of more than ${LARGEST_VALUE} elements and characters, which is the most`))
  if (depth > DEEPEST_VALUE)
    throw (reason = new TooDeep(`lists and maps more than ${DEEPEST_VALUE} deep within each other, which is the most`))
}
