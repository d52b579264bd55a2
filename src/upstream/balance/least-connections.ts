// Where there are the fewest connections for the weight. Those with equally few take turns, so that idle targets share
// by their weights and not the first one gets everything.
import { fits, type Balancer, type Request } from "../balance.ts"
import type { Member } from "../member.ts"
import { boundTurns, nextInTurn } from "./turns.ts"

export class LeastConnections implements Balancer {
  private members: readonly Member[] = []
  /** Those with the fewest; filled anew by each pick, so that none allocates. */
  private candidates: Member[] = []

  update(usable: readonly Member[], all: readonly Member[]): void {
    this.members = usable
    this.candidates = [...usable]
    boundTurns(all)
  }

  pick(request: Request): Member | undefined {
    const { members, candidates } = this
    let least = Infinity
    let count = 0
    for (let i = 0; i < members.length; i++) {
      const member = members[i]!
      if (!fits(member, request)) continue
      // Equal fractions give equal quotients: division rounds correctly.
      const load = member.active / member.weightAt(request.now)
      if (load < least) {
        least = load
        count = 0
      }
      if (load === least) candidates[count++] = member
    }
    return nextInTurn(candidates, count, request.now)
  }
}
