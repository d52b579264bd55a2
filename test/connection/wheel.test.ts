import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test"
import { TICK, Wheel, type Timed } from "../../src/connection/wheel.ts"
import { eventually } from "../helper/eventually.ts"
import { random } from "../helper/random.ts"
import { upstream } from "../helper/upstream.ts"
import { connect } from "../helper/wire.ts"

beforeEach(() => void jest.useFakeTimers())
afterEach(() => void jest.useRealTimers())

class Entry implements Timed {
  due = 0
  slot = -1
  place = 0
  /** When it expired, in milliseconds. */
  expired: number[] = []
  private readonly next: ((entry: Entry) => void) | undefined

  constructor(next?: (entry: Entry) => void) {
    this.next = next
  }

  expire(): void {
    this.expired.push(performance.now())
    this.next?.(this)
  }
}

/** Lets time go by in small steps, as it does. */
function pass(milliseconds: number): void {
  for (let gone = 0; gone < milliseconds; gone += 10) jest.advanceTimersByTime(10)
}

describe("a deadline", () => {
  test.each([0, 1, 99, 100, 250, 5000, 51_100, 51_200, 51_300, 300_000])(
    "of %p ms is never early and at most three ticks late",
    (wait) => {
      const wheel = new Wheel()
      pass(30)
      const entry = new Entry()
      const started = performance.now()
      wheel.schedule(entry, wait)
      pass(wait + 4 * TICK)
      expect(entry.expired).toHaveLength(1)
      expect(entry.expired[0]! - started).toBeGreaterThanOrEqual(wait)
      expect(entry.expired[0]! - started).toBeLessThanOrEqual(wait + 3 * TICK)
      wheel.stop()
    },
  )

  test("counts from now, also after the wheel has rested", () => {
    const wheel = new Wheel()
    wheel.schedule(new Entry(), 0)
    pass(60_000)
    const entry = new Entry()
    const started = performance.now()
    expect(wheel.refresh()).toBe(600)
    wheel.schedule(entry, 1000)
    pass(2000)
    expect(entry.expired[0]! - started).toBeGreaterThanOrEqual(1000)
  })

  test("that came while the process stood still comes after what has come meanwhile", async () => {
    jest.useRealTimers()
    const wheel = new Wheel()
    const entry = new Entry()
    const told: string[] = []
    entry.expire = () => told.push("deadline")
    using server = upstream((wire) => wire.onData === undefined && (wire.onData = () => told.push("bytes")))
    using client = await connect(server.port)
    await server.connection()
    await client.write("!")
    wheel.schedule(entry, TICK)
    for (const began = performance.now(); performance.now() - began < 10 * TICK;);
    await eventually(() => told.length === 2)
    expect(told).toEqual(["bytes", "deadline"])
    wheel.stop()
  })

  test("counts from now, also when the timer is behind", () => {
    const wheel = new Wheel()
    wheel.schedule(new Entry(), 10_000)
    const entry = new Entry()
    let started = 0
    // The first callback after the loop was stuck for 5 seconds.
    setTimeout(() => {
      started = performance.now()
      wheel.schedule(entry, 1000)
    }, 50)
    jest.advanceTimersByTime(50)
    pass(2000)
    expect(entry.expired[0]! - started).toBeGreaterThanOrEqual(1000)
    expect(entry.expired[0]! - started).toBeLessThanOrEqual(1300)
  })

  test("may be put off, brought forward and taken away", () => {
    const wheel = new Wheel()
    const [later, sooner, gone] = [new Entry(), new Entry(), new Entry()]
    for (const entry of [later, sooner, gone]) wheel.schedule(entry, 1000)
    wheel.schedule(later, 2000)
    wheel.schedule(sooner, 200)
    wheel.remove(gone)
    wheel.remove(gone)
    const started = performance.now()
    pass(3000)
    expect(gone.expired).toEqual([])
    expect(later.expired.map((at) => Math.round((at - started) / 1000))).toEqual([2])
    expect(sooner.expired[0]! - started).toBeLessThanOrEqual(500)
  })

  test("that has gone by comes with the next tick", () => {
    const wheel = new Wheel()
    wheel.schedule(new Entry(), 60_000)
    pass(5000)
    const entry = new Entry()
    wheel.scheduleAt(entry, 3)
    pass(2 * TICK)
    expect(entry.expired).toHaveLength(1)
  })

  test("may schedule itself again when it comes", () => {
    const wheel = new Wheel()
    const entry = new Entry((each) => each.expired.length < 5 && wheel.schedule(each, 51_200))
    wheel.schedule(entry, 100)
    pass(300_000)
    expect(entry.expired).toHaveLength(5)
  })

  test("may take others of its own slot away when it comes", () => {
    const wheel = new Wheel()
    const entries: Entry[] = []
    for (let i = 0; i < 6; i++) entries.push(new Entry(() => entries.forEach((each) => wheel.remove(each))))
    for (const entry of entries) wheel.schedule(entry, 500)
    pass(1000)
    expect(entries.flatMap((entry) => entry.expired)).toHaveLength(1)
  })
})

test("no timer runs while nothing is scheduled", () => {
  const wheel = new Wheel()
  expect(jest.getTimerCount()).toBe(0)
  const entry = new Entry()
  wheel.schedule(entry, 100)
  expect(jest.getTimerCount()).toBe(1)
  pass(1000)
  expect(entry.expired).toHaveLength(1)
  expect(jest.getTimerCount()).toBe(0)
})

test.each([1, 2, 3])(
  "entries come exactly once, never early and hardly late, whatever is done with them (seed %p)",
  (seed) => {
    const { below, pick } = random(seed)
    const wheel = new Wheel()
    /** When each may come; `undefined` when it must not. */
    const wanted = new Map<Entry, number | undefined>()
    const longest = pick([1000, 60_000])
    const late: number[] = []
    const make = () =>
      new Entry((entry) => {
        const due = wanted.get(entry)
        late.push(due === undefined ? Number.NaN : performance.now() - due)
        wanted.set(entry, undefined)
      })
    const set = (entry: Entry) => {
      const wait = below(longest)
      wheel.schedule(entry, wait)
      wanted.set(entry, performance.now() + wait)
    }
    for (let i = 0; i < 400; i++) {
      for (let j = below(5); j > 0; j--) set(make())
      const entries = [...wanted.keys()]
      if (entries.length > 0) {
        set(pick(entries))
        const gone = pick(entries)
        wheel.remove(gone)
        wanted.set(gone, undefined)
      }
      jest.advanceTimersByTime(below(150))
    }
    pass(longest + 4 * TICK)
    expect([...wanted.values()].filter((due) => due !== undefined)).toEqual([])
    expect(late.filter((ms) => !(ms >= 0 && ms <= 3 * TICK))).toEqual([])
    expect(late.length).toBeGreaterThan(100)
  },
)
