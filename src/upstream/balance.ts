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
   * The members that may be picked from now on, all of one priority, with a weight above 0, in a steady order. Called
   * when that set, a weight or the health of one has changed. What an algorithm keeps per member lives in the member.
   */
  update(members: readonly Member[]): void
  /** One with room that was not tried; `undefined` where there is none. Allocates nothing. */
  pick(request: Request): Member | undefined
}

/** Whether a connection can go there now. */
export function fits(member: Member, request: Request): boolean {
  return member.hasRoom && !(request.tried.length > 0 && request.tried.includes(member))
}
