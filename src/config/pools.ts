// `export const pools`, checked by the schema and made into values.
import { pools } from "./schema/pool.ts"
import { decode, shownFault } from "./schema/faults.ts"
import { poolSpec } from "./pool-spec.ts"
import type { Pools, PoolSpec } from "../policy/pool.ts"

/** The pools by name, or everything that is wrong with them. */
export function readPools(value: unknown): Map<string, PoolSpec> | readonly string[] {
  const decoded = decode(pools, value)
  if ("faults" in decoded)
    return decoded.faults.map((fault) => shownFault({ ...fault, path: ["pools", ...fault.path] }))
  return poolSpecs(decoded.value)
}

/** Expects pools that the schema has taken. */
export function poolSpecs(pools: Pools): Map<string, PoolSpec> {
  return new Map(Object.entries(pools).map(([name, pool]) => [name, poolSpec(name, pool)]))
}
