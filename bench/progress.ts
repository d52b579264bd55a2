// How far a job of the load generator is: what has begun, what is done, what has failed, and how long each took.
import type { Done } from "./job.ts"

/** 60 s: no job takes that long; what is not done by then counts as failed. */
const LONGEST = 60_000

/** Counts what is done and what is under way, and resolves when all is done. */
export class Progress {
  private readonly began = performance.now()
  private readonly latencies: number[] = []
  private readonly resolve: (done: Done) => void
  private readonly timer: Timer
  private started = 0
  private failed = 0
  private over = false
  readonly done: Promise<Done>
  readonly count: number

  constructor(count: number) {
    this.count = count
    const { promise, resolve } = Promise.withResolvers<Done>()
    this.done = promise
    this.resolve = resolve
    this.timer = setTimeout(() => {
      this.failed += this.started - this.latencies.length - this.failed
      this.end()
    }, LONGEST)
  }

  /** Whether there is one more to begin; it counts as begun. */
  begin(): boolean {
    if (this.over || this.started >= this.count) return false
    this.started++
    return true
  }

  succeed(since: number): void {
    this.latencies.push(performance.now() - since)
    this.look()
  }

  fail(): void {
    this.failed++
    this.look()
  }

  /** Begins nothing more; what is under way is waited for. */
  stop(): void {
    this.over = true
    if (this.latencies.length + this.failed >= this.started) this.end()
  }

  private look(): void {
    const finished = this.latencies.length + this.failed
    if (finished >= this.count || (this.over && finished >= this.started)) this.end()
  }

  private end(): void {
    this.over = true
    clearTimeout(this.timer)
    const seconds = (performance.now() - this.began) / 1000
    const sorted = Float64Array.from(this.latencies).sort()
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
    this.resolve({ units: sorted.length, failed: this.failed, seconds, p50: at(0.5), p99: at(0.99) })
  }
}
