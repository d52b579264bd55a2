// Which certificates answer to a name or an address. The cost is a look-up or two, however many there are.
import { formatIp, parseIp } from "../policy/address.ts"
import { normalName, type Identity } from "./identity.ts"

const NONE: readonly Identity[] = Object.freeze([])

/** The identities that share a name. */
interface Group {
  /** The one to present first comes first. */
  readonly members: Identity[]
  /** What of it is presented, as long as it is before `until`. */
  chosen: readonly Identity[]
  isGood: boolean
  until: number
}

export class CertificateIndex {
  private readonly exact = new Map<string, Group>()
  /** By what follows `*.`. */
  private readonly wildcards = new Map<string, Group>()
  private readonly addresses = new Map<string, Group>()
  private readonly defaults: Group
  private readonly all: readonly Identity[]

  /** @param identities in the order of their file names */
  constructor(identities: readonly Identity[], isDefault: (identity: Identity) => boolean) {
    this.all = identities
    for (const identity of identities) {
      for (const name of identity.names) {
        if (name.startsWith("*.")) add(this.wildcards, name.slice(2), identity)
        else add(this.exact, name, identity)
      }
      for (const address of identity.addresses) add(this.addresses, address, identity)
    }
    this.defaults = group(identities.filter(isDefault))
    for (const map of [this.exact, this.wildcards, this.addresses]) for (const each of map.values()) sort(each)
    sort(this.defaults)
  }

  /**
   * The certificates of the exact name, else of the wildcard, which spans one label (RFC 9525 section 6.3); without a
   * name those of the address, else the default ones, else the first. Each list has one per algorithm, and is the same
   * one every time. Expired ones are last: better an expiry error at the client than another name.
   */
  choose(name: string | undefined, address: string | undefined, now: number = Date.now()): readonly Identity[] {
    const wanted = name === undefined ? "" : normalName(name)
    const ip = parseIp(wanted)
    if (wanted === "" || ip !== undefined) return this.unnamed(ip === undefined ? address : formatIp(ip), now)
    const dot = wanted.indexOf(".")
    const exact = at(this.exact.get(wanted), now)
    if (exact?.isGood) return exact.chosen
    const wildcard = dot > 0 ? at(this.wildcards.get(wanted.slice(dot + 1)), now) : undefined
    return (wildcard?.isGood ? wildcard : (exact ?? wildcard))?.chosen ?? NONE
  }

  private unnamed(address: string | undefined, now: number): readonly Identity[] {
    const found = address === undefined ? undefined : at(this.addresses.get(address), now)
    if (found?.isGood) return found.chosen
    const fallback = at(this.defaults, now)!
    if (fallback.isGood) return fallback.chosen
    const first = this.all.find(({ notAfter }) => notAfter.getTime() > now)
    if (first !== undefined) return only(first)
    return found?.chosen ?? (fallback.chosen.length > 0 ? fallback.chosen : this.all.slice(0, 1))
  }
}

const alone = new WeakMap<Identity, readonly Identity[]>()

function only(identity: Identity): readonly Identity[] {
  let list = alone.get(identity)
  if (list === undefined) alone.set(identity, (list = Object.freeze([identity])))
  return list
}

function add(map: Map<string, Group>, name: string, identity: Identity): void {
  const known = map.get(name)
  if (known === undefined) map.set(name, group([identity]))
  else known.members.push(identity)
}

function group(members: Identity[]): Group {
  return { members, chosen: NONE, isGood: false, until: -Infinity }
}

/** The newest first. */
function sort({ members }: Group): void {
  members.sort((a, b) => b.notBefore.getTime() - a.notBefore.getTime() || b.notAfter.getTime() - a.notAfter.getTime())
}

/** The group with what of it is presented now. */
function at(group: Group | undefined, now: number): Group | undefined {
  if (group === undefined || now < group.until) return group
  const good = group.members.filter(({ notAfter }) => notAfter.getTime() > now)
  group.isGood = good.length > 0
  const from = group.isGood ? good : group.members
  const algorithms = new Set<string>()
  group.chosen = Object.freeze(from.filter(({ algorithm }) => !algorithms.has(algorithm) && algorithms.add(algorithm)))
  // Nothing becomes good by waiting.
  group.until = group.isGood ? Math.min(...group.chosen.map(({ notAfter }) => notAfter.getTime())) : Infinity
  return group
}
