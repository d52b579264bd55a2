// First bytes of a client, before the decision: `{ peek, take, write }` over the accepted socket, and what is read from
// them. Keeps every byte until it is taken or relayed, and stops reading beyond the limit.
import { milliseconds } from "../policy/duration.ts"
import {
  HelloInvalid,
  peekSize,
  PREREAD_DEADLINE,
  PrereadTimeout,
  PrereadTooLarge,
  PROTOCOL_SILENCE,
} from "../policy/preread.ts"
import { detect, HELLO_WIRE_LIMIT, parseClientHello, type ClientHello, type Protocol } from "../protocol/index.ts"
import type { Side } from "./side.ts"

/** 64: each chunk costs a buffer of its own, so that 20 KiB sent byte by byte would take 3.6 MB. */
const MOST_CHUNKS = 64

/** More bytes are needed. */
const MORE = Symbol("more")

interface Waiter {
  due: number
  /** Looks at the bytes; a value or an error ends the wait. */
  readonly look: (ended: boolean) => typeof MORE | (() => void)
  /** The time is over: what becomes of the wait. `MORE` when it goes on, with a later `due`. */
  readonly late: () => typeof MORE | (() => void)
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
  /** Reading stops at as many. */
  private limit = HELLO_WIRE_LIMIT

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
    if (this.chunks.length > MOST_CHUNKS) this.join()
    // What a chunk brought beyond the limit is kept: first chunks of 128 to 512 KiB are normal. Reading stops at what
    // the largest hello takes.
    if (this.size >= this.limit) this.host.client.pause()
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
    return this.wait(
      waited,
      (ended) => (this.size >= n || ended ? this.copy() : MORE),
      () => {
        throw new PrereadTimeout(`the client sent ${this.size} of ${n} bytes within ${waited} ms`)
      },
    )
  }

  /** The TLS hello; `undefined` for what is not TLS. Rejects with PrereadTimeout, PrereadTooLarge or HelloInvalid. */
  hello(): Promise<ClientHello | undefined> {
    return this.wait(
      PREREAD_DEADLINE,
      (ended) => {
        const hello = parseClientHello(this.bytes)
        if (hello !== "more") return helloOr(hello)
        if (!ended) return MORE
        if (this.size === 0) return undefined
        throw new HelloInvalid("the client's FIN came inside its TLS hello")
      },
      () => {
        throw new PrereadTimeout(
          `the client sent ${this.size} bytes and no whole TLS hello within ${PREREAD_DEADLINE} ms`,
        )
      },
    )
  }

  /** What the client speaks; `undefined` after `silence` without a byte, or when its first message is not whole in 3 seconds. */
  protocol(silence: unknown): Promise<Protocol | undefined> {
    const waited = silence === undefined ? PROTOCOL_SILENCE : milliseconds(silence, "protocol: silence")
    let extended = false
    return this.wait(
      waited,
      (ended) => {
        const found = detect(this.bytes, ended)
        return found === "more" ? MORE : found
      },
      (waiter) => {
        if (this.size === 0 || extended) return undefined
        extended = true
        waiter.due = this.host.wake(Math.max(1, PREREAD_DEADLINE - waited))
        return MORE
      },
    )
  }

  /** What is held, in one piece. Not a copy. */
  get bytes(): Uint8Array {
    return this.join()
  }

  /** Takes the first `n` bytes away; fewer if there are fewer. What is left moves up. */
  take(n: number): Uint8Array {
    const all = this.join()
    // A copy: the buffer goes back as soon as the rest of it is written.
    const taken = all.slice(0, n)
    const rest = all.subarray(n)
    this.chunks = rest.length === 0 ? [] : [rest]
    this.size = rest.length
    if (this.size < this.limit) this.host.client.resume()
    return taken
  }

  /** What is read next has as many bytes; reading stops there, or where it always does. */
  expect(bytes: number): void {
    this.limit = Math.max(HELLO_WIRE_LIMIT, bytes)
    if (this.size < this.limit) this.host.client.resume()
    else this.host.client.pause()
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

  /** Ends the waits whose time is over; returns the tick at which the next is due, if any waits. */
  expire(now: number): number | undefined {
    this.settle((waiter) => (waiter.due <= now ? waiter.late() : MORE))
    return this.waiters.length === 0 ? undefined : Math.min(...this.waiters.map((waiter) => waiter.due))
  }

  /** Nobody is served any more; the bytes stay. */
  fail(why: string): void {
    const error = new Error(why)
    this.settle((waiter) => () => waiter.reject(error))
  }

  /** @param late throws, or gives what the wait ends with, or `MORE` and a later `due` */
  private wait<Value>(
    milliseconds: number,
    look: (ended: boolean) => Value | typeof MORE,
    late: (waiter: Waiter) => Value | typeof MORE,
  ): Promise<Value> {
    const { promise, resolve, reject } = Promise.withResolvers<Value>()
    const outcomeOf = (attempt: () => Value | typeof MORE) => {
      try {
        const value = attempt()
        return value === MORE ? MORE : () => resolve(value)
      } catch (error) {
        return () => reject(error)
      }
    }
    const waiter: Waiter = {
      due: 0,
      look: (ended) => outcomeOf(() => look(ended)),
      late: () => outcomeOf(() => late(waiter)),
      reject,
    }
    const found = waiter.look(this.host.client.ended)
    if (found !== MORE) {
      found()
      return promise
    }
    if (this.waiters.length === 0) this.host.waiting(true)
    waiter.due = this.host.wake(milliseconds)
    this.waiters.push(waiter)
    return promise
  }

  private serve(): void {
    if (this.waiters.length === 0) return
    const { ended } = this.host.client
    this.settle((waiter) => waiter.look(ended))
  }

  /** Takes the waits that are over off the list, then ends them: what they resume may wait again. */
  private settle(over: (waiter: Waiter) => typeof MORE | (() => void)): void {
    if (this.waiters.length === 0) return
    const outcomes: (() => void)[] = []
    this.waiters = this.waiters.filter((waiter) => {
      const outcome = over(waiter)
      if (outcome === MORE) return true
      outcomes.push(outcome)
      return false
    })
    if (this.waiters.length === 0) this.host.waiting(false)
    for (const outcome of outcomes) outcome()
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

/** @throws HelloInvalid, PrereadTooLarge */
export function helloOr(parsed: Exclude<ReturnType<typeof parseClientHello>, "more">): ClientHello | undefined {
  if (parsed === undefined || !("error" in parsed)) return parsed
  const message = `${parsed.error}: ${parsed.detail}`
  throw parsed.error === "too-large" ? new PrereadTooLarge(message) : new HelloInvalid(message)
}
