// Where a connection goes: the targets that it may try, one after the other. The data path knows no more of pools and
// lists than this.
import type { Target } from "../policy/target.ts"

/** Nobody has room now; `granted` is called once somebody has, or once it is certain that nobody will. */
export const WAIT = Symbol("wait")

export interface Attempts {
  /** The next target to try; `undefined` when there is none left. */
  next(): Target | typeof WAIT | undefined
  /** Whether there is another target to try after this one. */
  readonly more: boolean
  /** Why there was nothing to try, when that is so from the start. */
  readonly problem: string | undefined
  /** The target of the last `next` is connected, so many milliseconds after it. */
  connected(milliseconds: number): void
  /** It has sent its first byte. */
  spoke(): void
  /** It could not be had, or was lost before its first byte. */
  failed(): void
  /** The connection goes on without it, or has ended: whatever is held is given back. Also ends a wait. */
  release(): void
}

/** A list of targets in order. */
export class Listed implements Attempts {
  readonly problem = undefined
  private readonly order: readonly Target[]
  private readonly last: number
  private index = -1

  constructor(order: readonly Target[], retries: number | undefined) {
    this.order = order
    this.last = Math.min(order.length, 1 + (retries ?? order.length)) - 1
  }

  get more(): boolean {
    return this.index < this.last
  }

  next(): Target | undefined {
    return this.more ? this.order[++this.index] : undefined
  }

  connected(): void {}
  spoke(): void {}
  failed(): void {}
  release(): void {}
}
