// `concurrencyLimit("per-client", { max: 10 })`: how many connections may be there at one time.
import type { Connection } from "../policy/connection.ts"
import { describe } from "../policy/describe.ts"
import { WHEN_CLOSED, type Hooks } from "../policy/hooks.ts"
import { readConcurrencyLimitByAnyKey, type AnyKey } from "../policy/limit-options.ts"
import {
  LimitInvalid,
  type ConcurrencyLimitOptions,
  type ConcurrencyLimitSpec,
  type LimitKey,
} from "../policy/limits.ts"
import { checkName } from "./check-name.ts"
import { claim } from "./claims.ts"
import { Keys } from "./key.ts"
import { names, type Slot } from "./names.ts"
import type { ConcurrencyCounts } from "./store.ts"

/** A limit of connections at one time, made by {@link concurrencyLimit}. */
export interface ConcurrencyLimit {
  readonly name: string
  /**
   * Counts the connection, until it ends; it counts once, however often and by however many policies it is asked. False
   * when there are `max` already, or when the connection has ended: then it is not counted.
   * @throws LimitInvalid for a key that is no text and no number, and for what is no connection of the gateway's
   */
  take(connection: Connection): boolean
  /** Connections that are counted now with what this one counts with; 0 for a connection that is not limited. */
  active(connection: Connection): number
}

/**
 * Lets `max` connections be there at one time, of each client or of whatever else `key` says. A connection is given back
 * when it ends, whatever was decided about it.
 *
 * Make it once, at the top of a policy or in `setup`. What is counted is counted under the name: it outlives reloads,
 * also with other options, and files that make the same limit share it; different options in two files are an error. It
 * counts 1,000,000 keys at one time; past that nobody else is let in.
 * @param name 1 to 100 characters
 * @throws LimitInvalid
 */
export function concurrencyLimit(name: string, options: ConcurrencyLimitOptions<LimitKey>): ConcurrencyLimit {
  const what = checkName("concurrencyLimit", name, "{ max: 10 }")
  const spec = readConcurrencyLimitByAnyKey(what, options)
  claim({ kind: "concurrencyLimit", name, id: what, spec })
  return new NamedConcurrencyLimit(name, what, spec)
}

class NamedConcurrencyLimit implements ConcurrencyLimit {
  readonly name: string
  readonly #id: string
  readonly #max: number
  readonly #keys: Keys
  #slot: Slot<ConcurrencyCounts> | undefined

  constructor(name: string, id: string, { key, max }: ConcurrencyLimitSpec<AnyKey>) {
    this.name = name
    this.#id = id
    this.#max = max
    this.#keys = new Keys(id, key)
  }

  take(connection: Connection): boolean {
    const { hash } = names.store
    if (!this.#keys.hash(hash, connection)) return true
    const { high, low } = hash
    const slot = this.#current()
    const held = heldBy(connection, this.#id)
    if (held.has(slot, high, low)) return true
    // Nobody would give it back.
    if (held.ended) return false
    if (!slot.counts.take(high, low, this.#max)) return false
    held.add(slot, high, low)
    return true
  }

  active(connection: Connection): number {
    const { hash } = names.store
    if (!this.#keys.hash(hash, connection)) return 0
    return this.#current().counts.active(hash.high, hash.low)
  }

  #current(): Slot<ConcurrencyCounts> {
    if (this.#slot === undefined || this.#slot.gone) this.#slot = names.concurrency(this.#id)
    return this.#slot
  }
}

/** What one connection counts with, until it ends. */
class Held {
  ended = false
  private readonly slots: Slot<ConcurrencyCounts>[] = []
  private readonly keys: number[] = []

  has(slot: Slot<ConcurrencyCounts>, high: number, low: number): boolean {
    for (let i = 0; i < this.slots.length; i++)
      if (this.slots[i] === slot && this.keys[i * 2] === high && this.keys[i * 2 + 1] === low) return true
    return false
  }

  add(slot: Slot<ConcurrencyCounts>, high: number, low: number): void {
    this.slots.push(slot)
    this.keys.push(high, low)
  }

  release(): void {
    this.ended = true
    for (const [i, { counts }] of this.slots.splice(0).entries()) counts.give(this.keys[i * 2]!, this.keys[i * 2 + 1]!)
    this.keys.length = 0
  }
}

const connections = new WeakMap<Connection, Held>()

function heldBy(connection: Connection & Partial<Hooks>, what: string): Held {
  let held = connections.get(connection)
  if (held !== undefined) return held
  if (typeof connection[WHEN_CLOSED] !== "function")
    throw new LimitInvalid(
      `${what}: expected the connection that on_tcp_connect is given, found ${describe(connection)}, whose end nobody tells`,
    )
  held = new Held()
  connections.set(connection, held)
  const mine = held
  connection[WHEN_CLOSED](() => mine.release())
  return held
}
