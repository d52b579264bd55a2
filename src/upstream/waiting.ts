// Those who wait for a place at one of a pool's members.
import type { Lease } from "./lease.ts"

export class Waiting {
  /** Those who have tried none of the members: all of them wait for the same. */
  private readonly first = new Set<Lease>()
  /** Those who have tried some, and each wait for others. */
  private readonly again = new Set<Lease>()
  private serving = false
  /** Something has changed meanwhile. */
  private missed = false

  get size(): number {
    return this.first.size + this.again.size
  }

  add(lease: Lease): void {
    if (lease.tried.length === 0) this.first.add(lease)
    else this.again.add(lease)
  }

  delete(lease: Lease): void {
    if (!this.first.delete(lease)) this.again.delete(lease)
  }

  all(): readonly Lease[] {
    return [...this.again, ...this.first]
  }

  /**
   * Places may be had: those who have failed elsewhere are asked first, and then first come, first served.
   * @param grant returns whether the wait of this one is over
   */
  serve(grant: (lease: Lease) => boolean): void {
    if (this.size === 0) return
    // What is granted may fail at once and come back here.
    this.missed = true
    if (this.serving) return
    this.serving = true
    try {
      while (this.missed) {
        this.missed = false
        for (const lease of this.again) grant(lease)
        for (const lease of this.first) if (!grant(lease)) break
      }
    } finally {
      this.serving = false
    }
  }
}
