// How long counts live: as long as somebody names them, and a minute.
import { expect, test } from "bun:test"
import { MemoryStore } from "../../src/limit/memory-store.ts"
import { Names } from "../../src/limit/names.ts"

const RATE = { limit: 1, per: 1e9, burst: 1 }

function start() {
  let now = 0
  const timers: { at: number; call: () => void }[] = []
  const names = new Names({
    clock: () => now,
    later: (milliseconds, call) => timers.push({ at: now + milliseconds, call }),
    store: new MemoryStore({ clock: () => 0, seed: [1, 2] }),
  })
  return {
    names,
    timers,
    pass(milliseconds: number) {
      now += milliseconds
      for (const timer of timers.filter(({ at }) => at <= now)) {
        timers.splice(timers.indexOf(timer), 1)
        timer.call()
      }
    },
  }
}

test("a name has its counts for a minute after nobody names it any more", () => {
  const { names, pass, timers } = start()
  const [owner, other] = [{}, {}]
  names.keep(owner, ["a", "b"])
  const slot = names.rate("a")
  expect(slot.counts.take(1, 1, RATE)).toBe(true)
  pass(1e6)
  expect(names.rate("a")).toBe(slot)
  names.keep(owner, ["b"])
  pass(59_999)
  expect([names.rate("a") === slot, slot.gone]).toEqual([true, false])
  pass(1)
  expect(slot.gone).toBe(true)
  expect(names.rate("a")).not.toBe(slot)
  expect(names.rate("a").counts.take(1, 1, RATE)).toBe(true)
  names.keep(other, [])
  expect(timers).toEqual([])
})

test("a name that comes back within the minute, or that somebody else has, stays", () => {
  const { names, pass } = start()
  const [one, two] = [{}, {}]
  const slot = names.rate("a")
  names.keep(one, ["a"])
  names.keep(one, [])
  pass(50_000)
  names.keep(one, ["a"])
  pass(1e6)
  names.keep(two, ["a"])
  names.keep(one, [])
  pass(1e6)
  expect(slot.gone).toBe(false)
  names.keep(two, [])
  pass(60_000)
  expect(slot.gone).toBe(true)
})

test("each name has a minute of its own", () => {
  const { names, pass } = start()
  const owner = {}
  const [a, b] = [names.rate("a"), names.rate("b")]
  names.keep(owner, ["a", "b"])
  names.keep(owner, ["b"])
  pass(30_000)
  names.keep(owner, [])
  pass(30_000)
  expect([a.gone, b.gone]).toEqual([true, false])
  pass(29_999)
  expect(b.gone).toBe(false)
  pass(1)
  expect(b.gone).toBe(true)
})

test("what nobody has ever named stays: it is not made by a policy that could go", () => {
  const { names, pass } = start()
  const slot = names.rate("a")
  names.keep({}, [])
  pass(1e9)
  expect(slot.gone).toBe(false)
})

test("a concurrency limit stays while connections count in it", () => {
  const { names, pass } = start()
  const owner = {}
  names.keep(owner, ["a"])
  const slot = names.concurrency("a")
  expect(slot.counts.take(1, 1, 5)).toBe(true)
  names.keep(owner, [])
  for (let i = 0; i < 10; i++) pass(60_000)
  expect(slot.gone).toBe(false)
  slot.counts.give(1, 1)
  pass(60_000)
  expect(slot.gone).toBe(true)
})

test("both kinds of counts have names of their own", () => {
  const { names } = start()
  const [rate, concurrency] = [names.rate("a"), names.concurrency("a")]
  expect([names.rate("a"), names.concurrency("a")]).toEqual([rate, concurrency])
  names.restart()
  expect([rate.gone, concurrency.gone]).toEqual([true, true])
})

test("another store takes the place of the one in memory, and what is there already counts in it", () => {
  const { names } = start()
  const asked: string[] = []
  const slot = names.rate("a")
  const store = new MemoryStore()
  const shared = {
    hash: store.hash,
    rates(id: string) {
      asked.push(id)
      return { take: () => false, remaining: () => 0, size: 0 }
    },
    concurrency: () => store.concurrency(),
  }
  names.restart({ store: shared })
  expect(slot.gone).toBe(true)
  expect(names.rate("a").counts.take(1, 1, RATE)).toBe(false)
  expect(asked).toEqual(["a"])
})
