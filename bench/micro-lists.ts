// Look-ups in sets of addresses, for micro.ts: prefixes at random places, and another address each time, so that neither
// the branches nor the caches know what comes.
import { TableBuilder } from "../src/policy/address-table.ts"
import type { Ip } from "../src/policy/address.ts"
import { random } from "../test/helper/random.ts"

/** As many addresses as take turns: a power of two. */
const ASKED = 1 << 14

const { below } = random(1)
const word = () => below(2 ** 32)

function address(family: Ip["family"]): Ip {
  if (family === "IPv4") return { family, a: word(), b: 0, c: 0, d: 0 }
  // 2000::/3 is what is given out.
  return { family, a: 0x20000000 + below(2 ** 29), b: word(), c: word(), d: word() }
}

/** Prefixes of /24 and longer, or /32 and longer: as blocklists have them. */
function lookUpIn(count: number, family: Ip["family"]): () => unknown {
  const builder = new TableBuilder()
  for (let i = 0; i < count; i++) builder.add(address(family), family === "IPv4" ? 24 + below(9) : 32 + below(97))
  const table = builder.table()
  const asked = Array.from({ length: ASKED }, () => address(family))
  let turn = 0
  return () => table.contains(asked[(turn = (turn + 1) & (ASKED - 1))]!)
}

const SETS = [
  ["100,000 CIDRs of IPv4", 100_000, "IPv4"],
  ["100,000 CIDRs of IPv6", 100_000, "IPv6"],
  ["1,000,000 CIDRs of IPv4", 1_000_000, "IPv4"],
  ["1,000,000 CIDRs of IPv6", 1_000_000, "IPv6"],
] as const

const nameOf = (what: string) => `look-up in ${what}`

/** Makes the sets, which takes a while. */
export function lookUps(): Readonly<Record<string, () => unknown>> {
  return Object.fromEntries(SETS.map(([what, count, family]) => [nameOf(what), lookUpIn(count, family)]))
}

/** That each takes at most a microsecond is promised. */
export const LOOK_UP_NAMES: readonly string[] = SETS.map(([what]) => nameOf(what))
