// The pools of a gateway by name: they outlive snapshots, so that what is known of a target survives a reload.
import type { PoolLookup } from "../policy/check-route.ts"
import type { PoolSpec } from "../policy/pool.ts"
import { Pool, type PoolExits } from "./pool.ts"

/** One minute: a file that moves away and back, or a mistake that is mended, costs nothing that is known of a target. */
const KEPT = 60_000

export class Pools implements PoolLookup {
  private readonly exits: PoolExits
  private readonly pools = new Map<string, Pool>()
  private readonly leaving = new Map<string, Timer>()

  constructor(exits: PoolExits) {
    this.exits = exits
  }

  find(name: string): Pool | undefined {
    return this.pools.get(name)
  }

  names(): Iterable<string> {
    return this.pools.keys()
  }

  all(): readonly Pool[] {
    return [...this.pools.values()]
  }

  /** The pools of a snapshot; those that it does not name are kept for a minute. */
  apply(specs: ReadonlyMap<string, PoolSpec>): void {
    for (const [name, spec] of specs) {
      clearTimeout(this.leaving.get(name))
      this.leaving.delete(name)
      const known = this.pools.get(name)
      if (known !== undefined) known.apply(spec)
      else {
        const pool = new Pool(spec, this.exits)
        this.pools.set(name, pool)
        this.exits.members(pool)
      }
    }
    for (const name of this.pools.keys()) if (!specs.has(name) && !this.leaving.has(name)) this.leave(name)
  }

  close(): void {
    for (const timer of this.leaving.values()) clearTimeout(timer)
    this.leaving.clear()
    for (const pool of this.pools.values()) pool.close()
    this.pools.clear()
  }

  private leave(name: string): void {
    const timer = setTimeout(() => {
      this.leaving.delete(name)
      const pool = this.pools.get(name)
      this.pools.delete(name)
      pool?.close()
      if (pool !== undefined) this.exits.members(pool)
    }, KEPT)
    timer.unref()
    this.leaving.set(name, timer)
  }
}
