// In turn, by weight.
import { fits, type Balancer, type Request } from "../balance.ts"
import type { Member } from "../member.ts"
import { boundTurns, nextInTurn } from "./turns.ts"

export class RoundRobin implements Balancer {
  private members: readonly Member[] = []
  /** Those of a pick; filled anew by each, so that none allocates. */
  private candidates: Member[] = []

  update(usable: readonly Member[], all: readonly Member[]): void {
    this.members = usable
    this.candidates = [...usable]
    boundTurns(all)
  }

  pick(request: Request): Member | undefined {
    const { members, candidates } = this
    let count = 0
    for (let i = 0; i < members.length; i++) {
      const member = members[i]!
      if (fits(member, request)) candidates[count++] = member
    }
    return nextInTurn(candidates, count, request.now)
  }
}
