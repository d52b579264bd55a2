// What a pool that balances by `hash` goes by: the route's own key, or what the pool's `hashOn` says of the connection.
import type { Route } from "../policy/decision.ts"
import type { PoolSpec } from "../policy/pool.ts"
import { hashAddress, hashText } from "../upstream/hash.ts"
import type { Connection } from "./connection.ts"

/** 0 for other pools. */
export function hashFor({ hello, peer }: Connection, { key }: Route, { balance, hashOn }: PoolSpec): number {
  if (balance !== "hash") return 0
  if (key !== undefined) return hashText(key)
  if (hashOn === "sni") return hashText(hello?.sni ?? "")
  return peer === undefined ? 0 : hashAddress(peer)
}
