// Bytes that may pass, which come back over time.

/** 64 KiB, or a tenth of a second: what may pass at once, so that slow rates move whole chunks and fast ones whole ticks. */
const SMALLEST_BURST = 65_536
const BURST_SHARE = 0.1

export class Bucket {
  private bytesPerSecond: number
  /** Bytes that may pass now; below 0 is what has passed already and is to be waited for. */
  private left: number
  private at: number

  /** @param rate bytes per second @param now milliseconds, as in every call */
  constructor(rate: number, now: number) {
    this.bytesPerSecond = rate
    this.left = this.burst
    this.at = now
  }

  get rate(): number {
    return this.bytesPerSecond
  }

  /** Bytes that may pass at once after a rest. */
  get burst(): number {
    return Math.max(SMALLEST_BURST, this.bytesPerSecond * BURST_SHARE)
  }

  /** From now on it has another rate; what is to be waited for stays. */
  change(rate: number, now: number): void {
    if (rate === this.bytesPerSecond) return
    this.refill(now)
    this.bytesPerSecond = rate
    this.left = Math.min(this.left, this.burst)
  }

  /** Takes bytes, whether they are there or not. Returns the milliseconds until they would have been; 0 where they are. */
  debit(bytes: number, now: number): number {
    this.refill(now)
    this.left -= bytes
    return this.left >= 0 ? 0 : (-this.left * 1000) / this.bytesPerSecond
  }

  /** Whether nothing has passed lately: it is as good as a new one. */
  isFull(now: number): boolean {
    this.refill(now)
    return this.left === this.burst
  }

  private refill(now: number): void {
    if (now <= this.at) return
    this.left = Math.min(this.burst, this.left + ((now - this.at) * this.bytesPerSecond) / 1000)
    this.at = now
  }
}
