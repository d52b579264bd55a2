// Picks of a member, for micro.ts: one per algorithm from 100 members of different weights that are busy to different
// degrees, and what building a table for keys costs.
import type { Balance } from "../src/policy/pool.ts"
import type { Request } from "../src/upstream/balance.ts"
import { balancerFor } from "../src/upstream/balance/index.ts"
import { measured } from "../src/upstream/balance/latency.ts"
import { maglev } from "../src/upstream/balance/maglev.ts"
import { hashAddress, hashText } from "../src/upstream/hash.ts"
import { Member } from "../src/upstream/member.ts"
import { parseTarget } from "../src/policy/target.ts"
import { poolSpec, targetSpec, testPool } from "../test/helper/pools.ts"

const BALANCES: readonly Balance[] = ["round-robin", "least-connections", "random-two", "hash", "first", "latency"]

/** As many, sorted by id. */
function membersOf(count: number): Member[] {
  return Array.from({ length: count }, (_, i) => {
    const url = `tcp://10.0.${i >> 8}.${i & 255}:5432`
    const facts = { id: url, name: url, target: parseTarget(url), weight: 1 + (i % 7), priority: 0 }
    const member = new Member({ ...facts, maxConnections: 1_000_000 })
    member.active = (i * 31) % 50
    measured(member, 1 + ((i * 7) % 13), 1000)
    return member
  }).sort((a, b) => (a.id < b.id ? -1 : 1))
}

export const pickName = (balance: Balance) => `pick of 100: ${balance}`

function pickOf(balance: Balance): () => unknown {
  const members = membersOf(100)
  const balancer = balancerFor(balance)
  balancer.update(members, members)
  // Another key and a little later each time, so that no branch is always the same.
  const request: { -readonly [Name in keyof Request]: Request[Name] } = { hash: 0, now: 1000, tried: [] }
  return () => {
    request.hash = (request.hash + 0x9e3779b9) >>> 0
    request.now += 0.1
    return balancer.pick(request)
  }
}

/** What a pool costs a connection in all: its lease, the pick, the place, the verdict and the end. */
function leaseOf(balance: Balance): () => unknown {
  const targets = Array.from({ length: 100 }, (_, i) => targetSpec(`tcp://10.0.1.${i}:5432`, { weight: 1 + (i % 7) }))
  const { pool } = testPool(poolSpec(targets, { balance }))
  let hash = 0
  return () => {
    hash = (hash + 0x9e3779b9) >>> 0
    const lease = pool.lease(hash, undefined, () => undefined)
    const target = lease.next()
    lease.connected(1)
    lease.spoke()
    lease.release()
    return target
  }
}

export const LEASE = "a connection's way through a pool of 100, round-robin"

const tables = [10, 100, 1000].map((count) => [count, membersOf(count)] as const)
const address = { a: 0x0a010203, b: 0, c: 0, d: 0 }

export const PICKS: Readonly<Record<string, () => unknown>> = {
  ...Object.fromEntries(BALANCES.map((balance) => [pickName(balance), pickOf(balance)])),
  [LEASE]: leaseOf("round-robin"),
  "hash of an address": () => hashAddress(address),
  "hash of a server name of 20 characters": () => hashText("tenant-1.example.com"),
  ...Object.fromEntries(tables.map(([count, members]) => [`table for keys, ${count} members`, () => maglev(members)])),
}

/** That each takes at most a microsecond is promised. */
export const PICK_NAMES: readonly string[] = BALANCES.map(pickName)
