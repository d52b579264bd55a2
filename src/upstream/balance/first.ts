// The first with room, in the order in which the pool is written: the others stay idle until it is full.
import { fits, type Balancer, type Request } from "../balance.ts"
import type { Member } from "../member.ts"

export class First implements Balancer {
  private members: readonly Member[] = []

  update(usable: readonly Member[]): void {
    this.members = usable
  }

  pick(request: Request): Member | undefined {
    const { members } = this
    for (let i = 0; i < members.length; i++) if (fits(members[i]!, request)) return members[i]
    return undefined
  }
}
