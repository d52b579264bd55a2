// Picks: which of the members that can be used now gets a connection. One file per algorithm; each is told when the
// members change, and asked on every connection.
import type { Member } from "./member.ts"

export interface Request {
  /** What `hash` goes by: 32 bits; equal for equal keys. */
  readonly hash: number
  /** On the clock of `performance.now()`. */
  readonly now: number
  /** Members that this connection has tried already. */
  readonly tried: readonly Member[]
}

export interface Balancer {
  /**
   * The members that may be picked from now on, and all that there are, those that cannot be used now included: both of
   * one priority, with weights above 0, in the order as written. Called when either set or a weight has changed; the
   * arrays are kept, so each call brings new ones. What an algorithm keeps per member lives in the member.
   */
  update(usable: readonly Member[], all: readonly Member[]): void
  /** One with room that was not tried; `undefined` where there is none. Allocates nothing. */
  pick(request: Request): Member | undefined
}

/** Whether a connection can go there now. */
export function fits(member: Member, request: Request): boolean {
  return member.hasRoom && member.weight > 0 && !(request.tried.length > 0 && request.tried.includes(member))
}
