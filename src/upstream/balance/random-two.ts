// Two at random, by weight; of these the one with fewer connections for its weight. Almost as even as the least of all,
// at the same small cost for any number of members, and several gateways do not run to the same target at once.
import { fits, type Balancer, type Request } from "../balance.ts"
import type { Member } from "../member.ts"

/**
 * Draws before everybody is looked at: while half of the weight can be drawn, one in 256 needs more. What is drawn
 * has the same chances either way.
 */
const DRAWS = 8

export class RandomTwo implements Balancer {
  private readonly random: () => number
  private members: readonly Member[] = []
  /** The sum of the weights up to and with each member. */
  private sums = new Float64Array(0)

  /** @param random 0 to below 1, for tests that want the same numbers again */
  constructor(random: () => number = Math.random) {
    this.random = random
  }

  update(usable: readonly Member[]): void {
    this.members = usable
    this.sums = new Float64Array(usable.length)
    let sum = 0
    for (let i = 0; i < usable.length; i++) this.sums[i] = sum += usable[i]!.weight
  }

  pick(request: Request): Member | undefined {
    const one = this.draw(request, undefined)
    if (one === undefined) return undefined
    const other = this.draw(request, one)
    if (other === undefined) return one
    const { now } = request
    return other.active / other.weightAt(now) < one.active / one.weightAt(now) ? other : one
  }

  private draw(request: Request, besides: Member | undefined): Member | undefined {
    const { members, sums } = this
    const { now } = request
    const total = sums[sums.length - 1] ?? 0
    for (let i = 0; i < DRAWS; i++) {
      const member = members[this.placeOf(this.random() * total)]
      if (member === undefined || member === besides || !fits(member, request)) continue
      if (now >= member.risenAt || this.random() * member.weight < member.weightAt(now)) return member
    }
    return this.drawFromAll(request, besides)
  }

  /** The member whose part of the sum this is. */
  private placeOf(at: number): number {
    let low = 0
    let high = this.sums.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.sums[middle]! > at) high = middle
      else low = middle + 1
    }
    return low
  }

  private drawFromAll(request: Request, besides: Member | undefined): Member | undefined {
    const { members } = this
    let total = 0
    for (let i = 0; i < members.length; i++) {
      const member = members[i]!
      if (member !== besides && fits(member, request)) total += member.weightAt(request.now)
    }
    let rest = this.random() * total
    let last: Member | undefined = undefined
    for (let i = 0; i < members.length; i++) {
      const member = members[i]!
      if (member === besides || !fits(member, request)) continue
      last = member
      rest -= member.weightAt(request.now)
      if (rest < 0) return member
    }
    // Rounding may leave a little.
    return last
  }
}
