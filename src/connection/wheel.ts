// Deadlines of connections: one coarse wheel and one timer for all of them, because a timer per connection and step
// costs more than the step. A deadline is late by up to three ticks, never early; after a stop of the whole process by one more.

/** 100 ms: every deadline here is at least two hundred. */
export const TICK = 100
/** 5 ticks without a turn: the process was held up, and what has come meanwhile is not read yet. */
const HELD_UP = 5
/** 51.2 s per turn: short deadlines hit their slot at once, long ones are looked at once per turn. */
const SLOTS = 512

/** What hangs on the wheel: one entry per connection, whatever its state. */
export interface Timed {
  /** The tick at which to call {@link expire}. May be moved later in place; move it earlier with `schedule`. */
  due: number
  /** Slot, or -1 when not on the wheel. Kept by the wheel. */
  slot: number
  /** Place in its slot. Kept by the wheel. */
  place: number
  /** The deadline has come: take yourself off, or schedule again. */
  expire(): void
}

export class Wheel {
  /** The current tick, as of the last turn or {@link refresh}. */
  now = 0
  /** The last tick whose slot was looked at. */
  private turned = 0
  private readonly slots: Timed[][] = Array.from({ length: SLOTS }, () => [])
  private size = 0
  private readonly started = performance.now()
  private timer: Timer | undefined = undefined
  private wasHeldUp = false
  private readonly turn = () => this.advance()

  /** Looks at the clock: nothing turns while nothing is scheduled, and what counts from an old tick would be early. */
  refresh(): number {
    return (this.now = Math.max(this.now, this.tick()))
  }

  /** Sets the deadline `milliseconds` from now. */
  schedule(entry: Timed, milliseconds: number): void {
    this.scheduleAt(entry, this.refresh() + this.ticks(milliseconds))
  }

  /** Sets the deadline to a tick; one that has gone by comes with the next. */
  scheduleAt(entry: Timed, tick: number): void {
    if (this.timer === undefined) this.start()
    entry.due = Math.max(tick, this.turned + 1)
    if (entry.slot >= 0) {
      // A later deadline stays in its earlier slot and is moved on when that comes around.
      const passes = ((((entry.slot - this.turned - 1) % SLOTS) + SLOTS) % SLOTS) + 1
      if (this.turned + passes <= entry.due) return
      this.remove(entry)
    }
    this.insert(entry)
  }

  remove(entry: Timed): void {
    if (entry.slot < 0) return
    const slot = this.slots[entry.slot]!
    const last = slot.pop()!
    if (last !== entry) {
      slot[entry.place] = last
      last.place = entry.place
    }
    entry.slot = -1
    this.size--
  }

  /** Ticks after which so many milliseconds have gone by for certain, whenever in the current tick they began. */
  ticks(milliseconds: number): number {
    return Math.ceil(milliseconds / TICK) + 1
  }

  stop(): void {
    clearInterval(this.timer)
    this.timer = undefined
  }

  private insert(entry: Timed): void {
    const slot = this.slots[entry.due % SLOTS]!
    entry.slot = entry.due % SLOTS
    entry.place = slot.length
    slot.push(entry)
    this.size++
  }

  private tick(): number {
    return Math.floor((performance.now() - this.started) / TICK)
  }

  private start(): void {
    this.turned = this.refresh()
    this.timer = setInterval(this.turn, TICK)
    this.timer.unref()
  }

  private advance(): void {
    // Stopped here and not with the last entry: connections that follow each other share one timer.
    if (this.size === 0) return this.stop()
    const until = this.tick()
    if (until - this.turned > HELD_UP && !this.wasHeldUp) {
      // Nobody is told that nothing came before it is looked whether it did: the next turn is soon enough.
      this.wasHeldUp = true
      this.now = until
      return
    }
    this.wasHeldUp = false
    // After a stop of the whole process each slot is looked at once, not once per missed turn.
    if (until - this.turned > SLOTS) this.turned = until - SLOTS
    this.now = until
    while (this.turned < until && this.size > 0) {
      this.turned++
      const slot = this.slots[this.turned % SLOTS]!
      for (let i = slot.length - 1; i >= 0; i--) {
        const entry = slot[i]
        // An entry that expires may take others of the slot away.
        if (entry === undefined) continue
        this.remove(entry)
        if (entry.due <= this.now) entry.expire()
        else this.insert(entry)
      }
    }
    this.turned = until
  }
}
