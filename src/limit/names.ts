// What is counted under which name. Counts outlive the handles that policies hold: equal names share them, a reload finds
// them again, and they go a minute after nobody names them any more.
import { setTimeout } from "node:timers"
import { LimitInvalid } from "../policy/limits.ts"
import { MemoryStore } from "./memory-store.ts"
import type { ConcurrencyCounts, LimitStore, RateCounts } from "./store.ts"

/** A file that moves away and back, or a listener that is renamed twice, finds its counts again. */
const KEPT_FOR = 60_000
/** 10,000 names: names are written in source. What tells clients apart is the key. */
const MOST_NAMES = 10_000

/** Counts under a name, as long as somebody names them. */
export interface Slot<Counts> {
  readonly counts: Counts
  /** Somebody else may have the name now. */
  gone: boolean
}

export interface NamesOptions {
  /** Milliseconds. @default performance.now */
  readonly clock?: () => number
  /** Calls back after so many milliseconds; keeps no process alive. @default a timer */
  readonly later?: (milliseconds: number, then: () => void) => void
  readonly store?: LimitStore
}

export class Names {
  store: LimitStore
  private clock: () => number
  private later: NonNullable<NamesOptions["later"]>
  private readonly rates = new Map<string, Slot<RateCounts>>()
  private readonly concurrencies = new Map<string, Slot<ConcurrencyCounts>>()
  /** By owner: the ids that it names. */
  private readonly kept = new Map<object, ReadonlySet<string>>()
  /** Ids that nobody names any more, and when they go. */
  private readonly leaving = new Map<string, number>()
  private timed = false

  constructor({ clock = () => performance.now(), later = timer, store = new MemoryStore() }: NamesOptions = {}) {
    this.clock = clock
    this.later = later
    this.store = store
  }

  rate(id: string): Slot<RateCounts> {
    return slotOf(this.rates, id, () => this.store.rates(id))
  }

  concurrency(id: string): Slot<ConcurrencyCounts> {
    return slotOf(this.concurrencies, id, () => this.store.concurrency(id))
  }

  /** What the owner names from now on. What it named before and nobody names now goes in a minute. */
  keep(owner: object, ids: Iterable<string>): void {
    const before = this.kept.get(owner)
    const now = new Set(ids)
    if (now.size > 0) this.kept.set(owner, now)
    else this.kept.delete(owner)
    for (const id of now) this.leaving.delete(id)
    for (const id of before ?? []) if (!this.isNamed(id)) this.leaving.set(id, this.clock() + KEPT_FOR)
    this.wait()
  }

  /** Begins anew, with another store or an empty one: handles that are there already count in that. */
  restart({ clock = () => performance.now(), later = timer, store = new MemoryStore() }: NamesOptions = {}): void {
    this.clock = clock
    this.later = later
    this.store = store
    this.timed = false
    this.leaving.clear()
    for (const slots of [this.rates, this.concurrencies]) {
      for (const slot of slots.values()) slot.gone = true
      slots.clear()
    }
  }

  private isNamed(id: string): boolean {
    for (const ids of this.kept.values()) if (ids.has(id)) return true
    return false
  }

  private wait(): void {
    if (this.timed || this.leaving.size === 0) return
    this.timed = true
    const next = Math.min(...this.leaving.values())
    this.later(Math.max(0, next - this.clock()), () => {
      this.timed = false
      this.drop()
      this.wait()
    })
  }

  private drop(): void {
    const now = this.clock()
    for (const [id, due] of this.leaving) {
      if (due > now) continue
      // Connections that were let in before still count: another minute.
      if (this.concurrencies.get(id)?.counts.busy === true) this.leaving.set(id, now + KEPT_FOR)
      else this.forget(id)
    }
  }

  private forget(id: string): void {
    this.leaving.delete(id)
    for (const slots of [this.rates, this.concurrencies]) {
      const slot = slots.get(id)
      if (slot !== undefined) slot.gone = true
      slots.delete(id)
    }
  }
}

/** Those of this process. */
export const names = new Names()

function slotOf<Counts>(slots: Map<string, Slot<Counts>>, id: string, make: () => Counts): Slot<Counts> {
  let slot = slots.get(id)
  if (slot === undefined) {
    if (slots.size >= MOST_NAMES)
      throw new LimitInvalid(
        `${id}: there are ${MOST_NAMES} limits already; clients are told apart by \`key\`, not by name`,
      )
    slot = { counts: make(), gone: false }
    slots.set(id, slot)
  }
  return slot
}

function timer(milliseconds: number, then: () => void): void {
  setTimeout(then, milliseconds).unref()
}
