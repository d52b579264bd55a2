// Who shares which buckets: each connection has its own, or those with one key of one owner have them together.
import type { Ip } from "../policy/address.ts"
import type { BandwidthSpec } from "../policy/limits.ts"
import { Bucket } from "./bucket.ts"
import { NamedKeys } from "./key.ts"
import { names } from "./names.ts"

/**
 * 10,000 buckets that nobody uses now and that are not full again: whoever comes back is not to find a full one. Past
 * that the oldest go.
 */
const MOST_RESTING = 10_000

/** The buckets of one connection. */
export interface Shares {
  /** For bytes from the client. */
  readonly up: Bucket | undefined
  /** For bytes to the client. */
  readonly down: Bucket | undefined
  /** The connection has ended. */
  release(): void
}

class Shared implements Shares {
  up: Bucket | undefined = undefined
  down: Bucket | undefined = undefined
  users = 0
  private readonly id: string

  constructor(id: string) {
    this.id = id
  }

  release(): void {
    if (--this.users > 0) return
    used.delete(this.id)
    const now = performance.now()
    if (!this.isFull(now)) resting.set(this.id, this)
    forgetFull(now)
  }

  isFull(now: number): boolean {
    return this.up?.isFull(now) !== false && this.down?.isFull(now) !== false
  }
}

/** By owner and key. As many as there are connections, at most. */
const used = new Map<string, Shared>()
/** In the order in which their last connection ended. */
const resting = new Map<string, Shared>()

/** The buckets of a listener or a pool. */
export class BandwidthGate {
  readonly keys: NamedKeys | undefined
  private readonly owner: string
  private readonly spec: BandwidthSpec

  /** @param owner what has the limit, over reloads: `listener tcp:*:5432` */
  constructor(owner: string, spec: BandwidthSpec) {
    this.owner = owner
    this.keys = spec.key === undefined ? undefined : new NamedKeys(spec.key)
    this.spec = spec
  }

  /** The buckets of a connection, to be released when it ends. */
  take(ip: Ip | undefined, sni: string | undefined): Shares {
    const { up, down } = this.spec
    const now = performance.now()
    if (this.keys === undefined)
      return {
        up: up === undefined ? undefined : new Bucket(up, now),
        down: down === undefined ? undefined : new Bucket(down, now),
        release: () => undefined,
      }
    const { hash } = names.store
    this.keys.hash(hash, ip, sni)
    const shared = sharedBy(`${this.owner} ${hash.high}:${hash.low}`)
    shared.up = withRate(shared.up, up, now)
    shared.down = withRate(shared.down, down, now)
    shared.users++
    return once(shared)
  }
}

/** Buckets that are shared now, and those that rest. */
export function sharedBuckets(): { readonly used: number; readonly resting: number } {
  return { used: used.size, resting: resting.size }
}

function sharedBy(id: string): Shared {
  let shared = used.get(id) ?? resting.get(id)
  resting.delete(id)
  shared ??= new Shared(id)
  used.set(id, shared)
  return shared
}

/** The rate may be another than when the bucket was made; connections that have it already get that one too. */
function withRate(bucket: Bucket | undefined, rate: number | undefined, now: number): Bucket | undefined {
  if (rate === undefined) return undefined
  bucket?.change(rate, now)
  return bucket ?? new Bucket(rate, now)
}

function once(shared: Shared): Shares {
  const { up, down } = shared
  let released = false
  return {
    up,
    down,
    release() {
      if (released) return
      released = true
      shared.release()
    },
  }
}

/** Full ones are as good as new ones. Looks at the oldest only, so that an end costs the same however many there are. */
function forgetFull(now: number): void {
  for (const [id, shared] of resting) {
    if (resting.size <= MOST_RESTING && !shared.isFull(now)) return
    resting.delete(id)
  }
}
