// Members that left their pool a while ago: one that comes back is the same, with what is known of it.
import type { Member } from "./member.ts"

/** One minute: a target that is taken off a list by mistake, or that the DNS leaves out once, is no stranger. */
const KEPT = 60_000
/** 1,000 without connections: answers of the DNS may bring others each second. */
const MOST = 1000

export class Gone {
  /** In the order in which they left. */
  private readonly members = new Map<string, { readonly member: Member; readonly since: number }>()

  add(member: Member, now: number): void {
    this.members.set(member.id, { member, since: now })
    for (const [id, { member: oldest, since }] of this.members) {
      if (now - since < KEPT && this.members.size <= MOST) return
      // One with connections is needed for their end.
      if (oldest.active === 0) this.members.delete(id)
    }
  }

  /** The member, which is no longer gone. */
  take(id: string, now: number): Member | undefined {
    const found = this.members.get(id)
    if (found === undefined) return undefined
    this.members.delete(id)
    return found.member.active > 0 || now - found.since < KEPT ? found.member : undefined
  }

  all(): Member[] {
    return Array.from(this.members.values(), ({ member }) => member)
  }
}
