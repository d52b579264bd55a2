// The look-up table of Maglev (Eisenbud et al., NSDI 2016, section 3.4), with weights: every member has an order of its
// own in which it wants the slots, and the members take turns at taking the next free one, by their weights. The table
// follows from ids and weights alone, so that every gateway and every restart builds the same one, and a member that
// goes leaves most slots of the others as they are.
import { hashText } from "../hash.ts"

/**
 * 65,537 slots, the smaller size of the paper and the usual one of Envoy. A prime, so that every step through the table
 * visits each slot. 100 members get 655 slots each, so that shares are right within 0.2 %; at 655 members within 1 %.
 * Fixed: with another size nearly all keys would move. 128 KiB of table for a pool.
 */
export const SLOTS = 65_537
/** As many fit in a 16-bit table; so many could not get a slot each in any case. */
export const MOST_MEMBERS = 65_535

const FREE = 0xffff
/** Any other number than the seed of the offsets. */
const STEP_SEED = 0x9747b28c

export interface Weighted {
  readonly id: string
  readonly weight: number
}

/** For each slot, the place in `members` of whose it is. `members` is sorted by id, not empty, and of positive weights. */
export function maglev(members: readonly Weighted[]): Uint16Array {
  const count = Math.min(members.length, MOST_MEMBERS)
  const table = new Uint16Array(SLOTS).fill(FREE)
  const next = new Uint32Array(count)
  const step = new Uint32Array(count)
  for (let i = 0; i < count; i++) {
    next[i] = hashText(members[i]!.id) % SLOTS
    step[i] = 1 + (hashText(members[i]!.id, STEP_SEED) % (SLOTS - 1))
  }
  const turns = new Turns(members, count)
  for (let filled = 0; filled < SLOTS; filled++) {
    const i = turns.next()
    let slot = next[i]!
    while (table[slot] !== FREE) slot = after(slot, step[i]!)
    table[slot] = i
    next[i] = after(slot, step[i]!)
  }
  return table
}

function after(slot: number, step: number): number {
  const next = slot + step
  return next < SLOTS ? next : next - SLOTS
}

/**
 * Whose turn it is: the n-th of a member comes at n / weight. A heap, so that a turn costs the logarithm of the members:
 * going round them would cost all of them for each slot of the heaviest.
 */
class Turns {
  private readonly heap: Uint16Array
  private readonly due: Float64Array
  private readonly taken: Uint32Array
  private readonly members: readonly Weighted[]

  constructor(members: readonly Weighted[], count: number) {
    this.members = members
    // Everybody's first turn is at 0, and equals go by place: that is a heap already. So even the lightest gets a slot.
    this.heap = Uint16Array.from({ length: count }, (_, i) => i)
    this.due = new Float64Array(count)
    this.taken = new Uint32Array(count)
  }

  next(): number {
    const { heap, due } = this
    const first = heap[0]!
    due[first] = ++this.taken[first]! / this.members[first]!.weight
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && this.before(heap[child + 1]!, heap[child]!)) child++
      if (!this.before(heap[child]!, first)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = first
    return first
  }

  private before(a: number, b: number): boolean {
    const difference = this.due[a]! - this.due[b]!
    return difference < 0 || (difference === 0 && a < b)
  }
}
