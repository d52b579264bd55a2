// The limits of a pool: asked before any of its targets is.
import { ConcurrencyGate, RateGate, type Counted } from "../limit/gate.ts"
import type { PoolSpec } from "../policy/pool.ts"
import type { Connection } from "./connection.ts"
import { ipOf } from "./socket-address.ts"

interface Gates {
  readonly rate: RateGate | undefined
  readonly concurrency: ConcurrencyGate | undefined
}

/** Options live as long as their pool has them. */
const gates = new WeakMap<PoolSpec, Gates>()

/** What is counted of a connection that a pool lets in. */
export interface Admitted {
  release(): void
}

const UNCOUNTED: Admitted = { release: () => undefined }

/** Counts the connection; says which limit is reached where one is. */
export function admit({ hello, peer }: Connection, spec: PoolSpec): Admitted | string {
  if (spec.rateLimit === undefined && spec.concurrencyLimit === undefined) return UNCOUNTED
  const { concurrency, rate } = gatesOf(spec)
  const ip = ipOf(peer)
  const sni = hello?.sni
  let counted: Counted | undefined = undefined
  if (concurrency !== undefined) {
    counted = concurrency.take(ip, sni)
    if (counted === undefined) return `pool ${spec.name}: its concurrencyLimit is reached`
  }
  if (rate === undefined || rate.take(ip, sni)) return counted ?? UNCOUNTED
  counted?.release()
  return `pool ${spec.name}: its rateLimit is reached`
}

/** The names that its counts are kept under. */
export function limitIds(spec: PoolSpec): string[] {
  const { concurrency, rate } = gatesOf(spec)
  return [concurrency, rate].flatMap((gate) => (gate === undefined ? [] : [gate.id]))
}

function gatesOf(spec: PoolSpec): Gates {
  let known = gates.get(spec)
  if (known === undefined) {
    const owner = `pool ${spec.name}`
    known = {
      rate: spec.rateLimit === undefined ? undefined : new RateGate(owner, spec.rateLimit),
      concurrency: spec.concurrencyLimit === undefined ? undefined : new ConcurrencyGate(owner, spec.concurrencyLimit),
    }
    gates.set(spec, known)
  }
  return known
}
