// The algorithms by their names.
import type { Balance } from "../../policy/pool.ts"
import type { Balancer } from "../balance.ts"
import { First } from "./first.ts"
import { Hash } from "./hash.ts"
import { Latency } from "./latency.ts"
import { LeastConnections } from "./least-connections.ts"
import { RandomTwo } from "./random-two.ts"
import { RoundRobin } from "./round-robin.ts"

const ALGORITHMS: { readonly [Name in Balance]: () => Balancer } = {
  "round-robin": () => new RoundRobin(),
  "least-connections": () => new LeastConnections(),
  "random-two": () => new RandomTwo(),
  hash: () => new Hash(),
  first: () => new First(),
  latency: () => new Latency(),
}

/** A balancer for the members of one priority. */
export function balancerFor(balance: Balance): Balancer {
  return ALGORITHMS[balance]()
}
