// By key: the same key goes to the same member, and when a member goes, (nearly) only its keys move. A Maglev table over
// all members of the pool; those that cannot be used now are passed over, not taken out, so that health that flaps builds
// no table, and a member that comes back has its keys again.
import { fits, type Balancer, type Request } from "../balance.ts"
import { hashText, scramble } from "../hash.ts"
import type { Member } from "../member.ts"
import { maglev, MOST_MEMBERS, SLOTS } from "./maglev.ts"

/**
 * Slots that are looked at for a key, its own first, the others drawn from the key: so those who share the keys of a
 * member that is out do so by their weights, which neighbours in the table would not. While half of the weight can be
 * used, one key in 2^64 needs more; beyond that the members themselves are looked at.
 */
const PROBES = 64
/** 2^32 divided by the golden ratio: leads scramble away from 0, which it leaves as it is. */
const STRIDE = 0x9e3779b9
const RANGE = 2 ** 32

export class Hash implements Balancer {
  private given: { readonly usable: readonly Member[]; readonly all: readonly Member[] } | undefined = undefined
  /** Of all, sorted by id, with the weights that the table was made of. */
  private members: readonly Member[] = []
  private weights = new Float64Array(0)
  private table: Uint16Array = new Uint16Array(0)
  private hashes = new Uint32Array(0)
  /** 1 for members that can be used. */
  private usable = new Uint8Array(0)

  /** Costs nothing here: the next pick makes of it what is needed. */
  update(usable: readonly Member[], all: readonly Member[]): void {
    this.given = { usable, all }
  }

  pick(request: Request): Member | undefined {
    if (this.given !== undefined) this.renew(this.given.usable, this.given.all)
    const { members, table, usable } = this
    if (members.length === 0) return undefined
    const { now } = request
    const key = request.hash >>> 0
    let rising: Member | undefined = undefined
    let probed = key
    for (let probe = 0; probe < PROBES; probe++) {
      const place = table[Math.trunc((probed / RANGE) * SLOTS)]!
      const member = members[place]!
      if (usable[place] === 1 && fits(member, request)) {
        if (now >= member.risenAt || hasRisenFor(member, key, now)) return member
        rising ??= member
      }
      probed = scramble(probed + STRIDE)
    }
    return rising ?? this.ofFew(key, request)
  }

  /** Rendezvous hashing over those that can be used: for when they are few among many. */
  private ofFew(key: number, request: Request): Member | undefined {
    const { hashes, members, usable } = this
    let least = Infinity
    let picked: Member | undefined = undefined
    for (let place = 0; place < members.length; place++) {
      const member = members[place]!
      if (usable[place] !== 1 || !fits(member, request)) continue
      const cost = -Math.log((scramble(key ^ hashes[place]!) + 1) / (RANGE + 1)) / member.weight
      if (cost < least) {
        least = cost
        picked = member
      }
    }
    return picked
  }

  private renew(usable: readonly Member[], all: readonly Member[]): void {
    this.given = undefined
    const members = all.toSorted(byId).slice(0, MOST_MEMBERS)
    if (!this.isMadeOf(members)) {
      this.weights = Float64Array.from(members, ({ weight }) => weight)
      this.hashes = Uint32Array.from(members, ({ id }) => hashText(id))
      this.table = members.length === 0 ? new Uint16Array(0) : maglev(members)
    }
    this.members = members
    const set = new Set(usable)
    this.usable = Uint8Array.from(members, (member) => (set.has(member) ? 1 : 0))
  }

  /** Whether the table is right for these. */
  private isMadeOf(members: readonly Member[]): boolean {
    const { members: old, weights } = this
    return (
      members.length === old.length &&
      members.every((member, i) => member.id === old[i]!.id && member.weight === weights[i])
    )
  }
}

/** Slow start: as much of its keys as of its weight come to a member that rises, always the same ones first. */
function hasRisenFor(member: Member, key: number, now: number): boolean {
  return scramble(key) * member.weight < member.weightAt(now) * RANGE
}

/** By code unit: the same everywhere. */
function byId(a: Member, b: Member): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0
}
