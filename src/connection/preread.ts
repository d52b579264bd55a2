// First bytes of a client, before the decision: `{ peek, take, write }` over the accepted socket. Keeps every byte
// until it is taken or relayed, and stops reading beyond the limit.
import { milliseconds } from "../policy/duration.ts"
import { peekSize, PREREAD_DEADLINE, PREREAD_LIMIT, PrereadTimeout } from "../policy/preread.ts"
import type { Side } from "./side.ts"

interface Waiter {
  readonly bytes: number
  readonly due: number
  readonly waited: number
  readonly resolve: (bytes: Uint8Array) => void
  readonly reject: (error: Error) => void
}

/** What a preread tells its connection. */
export interface PrereadHost {
  readonly client: Side
  /** Look at the deadlines again in this many milliseconds, or earlier; returns the wheel's tick of then. */
  wake(milliseconds: number): number
  /** The gateway has begun (true) or stopped (false) to wait for the client: the policy's clock stands still meanwhile. */
  waiting(waits: boolean): void
}

export class Preread {
  private readonly host: PrereadHost
  private chunks: Uint8Array[] = []
  private waiters: Waiter[] = []
  /** Bytes held. */
  size = 0

  constructor(host: PrereadHost) {
    this.host = host
  }

  /** Whether somebody waits for bytes of the client. */
  get awaited(): boolean {
    return this.waiters.length > 0
  }

  /** A chunk from the client. Chunks are Bun's own buffers, so they are kept without copying. */
  push(chunk: Uint8Array): void {
    this.chunks.push(chunk)
    this.size += chunk.length
    // What a chunk brought beyond the limit is kept: first chunks of 128 to 512 KiB are normal. Reading stops.
    if (this.size >= PREREAD_LIMIT) this.host.client.pause()
    this.serve()
  }

  /** The client's FIN: nobody needs to wait any longer. */
  end(): void {
    this.serve()
  }

  /**
   * All bytes so far once there are `n`, fewer after the client's FIN; consumes nothing. Rejects with PrereadTimeout
   * after 3 seconds or `within`.
   * @throws RangeError, PrereadTooLarge, DurationInvalid
   */
  peek(n: number, within: unknown): Promise<Uint8Array> {
    peekSize(n)
    const waited = within === undefined ? PREREAD_DEADLINE : milliseconds(within, "peek: within")
    if (this.size >= n || this.host.client.ended) return Promise.resolve(this.copy())
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    if (this.waiters.length === 0) this.host.waiting(true)
    this.waiters.push({ bytes: n, due: this.host.wake(waited), waited, resolve, reject })
    return promise
  }

  /** Takes the first `n` bytes away; fewer if there are fewer. What is left moves up. */
  take(n: number): Uint8Array {
    const all = this.join()
    // A copy: the buffer goes back as soon as the rest of it is written.
    const taken = all.slice(0, n)
    const rest = all.subarray(n)
    this.chunks = rest.length === 0 ? [] : [rest]
    this.size = rest.length
    if (this.size < PREREAD_LIMIT) this.host.client.resume()
    return taken
  }

  /** Answers the client before the decision. */
  write(bytes: Uint8Array): void {
    this.host.client.send(bytes)
  }

  /** Everything that is held, for the relay; nothing is kept. */
  drain(): Uint8Array[] {
    const chunks = this.chunks
    this.chunks = []
    this.size = 0
    return chunks
  }

  /** Rejects the waits whose time is over; returns the tick at which the next is due, if any waits. */
  expire(now: number): number | undefined {
    const late = this.waiters.filter((waiter) => waiter.due <= now)
    if (late.length > 0) this.settle(this.waiters.filter((waiter) => waiter.due > now))
    for (const waiter of late) {
      waiter.reject(
        new PrereadTimeout(`the client sent ${this.size} of ${waiter.bytes} bytes within ${waiter.waited} ms`),
      )
    }
    return this.waiters.length === 0 ? undefined : Math.min(...this.waiters.map((waiter) => waiter.due))
  }

  /** Nobody is served any more; the bytes stay. */
  fail(why: string): void {
    const waiters = this.waiters
    if (waiters.length === 0) return
    this.settle([])
    const error = new Error(why)
    for (const waiter of waiters) waiter.reject(error)
  }

  private serve(): void {
    if (this.waiters.length === 0) return
    const ended = this.host.client.ended
    const served = this.waiters.filter((waiter) => ended || this.size >= waiter.bytes)
    if (served.length === 0) return
    this.settle(this.waiters.filter((waiter) => !ended && this.size < waiter.bytes))
    for (const waiter of served) waiter.resolve(this.copy())
  }

  private settle(waiters: Waiter[]): void {
    const waited = this.waiters.length > 0
    this.waiters = waiters
    if (waited && waiters.length === 0) this.host.waiting(false)
  }

  /** A policy gets its own copy: what it writes into it must not reach the upstream. */
  private copy(): Uint8Array {
    return this.join().slice()
  }

  private join(): Uint8Array {
    if (this.chunks.length === 1) return this.chunks[0]!
    const all = new Uint8Array(this.size)
    let at = 0
    for (const chunk of this.chunks) {
      all.set(chunk, at)
      at += chunk.length
    }
    this.chunks = all.length === 0 ? [] : [all]
    return all
  }
}
