// The table that limits are counted in: against a Map, in any order of use.
import { expect, test } from "bun:test"
import { Table } from "../../src/limit/table.ts"
import { random } from "../helper/random.ts"

/** The values from the oldest to the newest. */
function drain(table: Table): number[] {
  const values: number[] = []
  for (let i = 0; i < table.size; i++) {
    values.push(table.get(table.oldest))
    table.touch(table.oldest)
  }
  return values
}

test("an empty table finds nothing and has no oldest", () => {
  const table = new Table()
  expect([table.size, table.oldest, table.find(0, 0), table.find(1, 2)]).toEqual([0, -1, -1, -1])
})

test("what is added is found under its key and no other, the key 0 included", () => {
  const table = new Table()
  table.add(0, 0, 5)
  expect(table.get(table.find(0, 0))).toBe(5)
  expect([table.find(0, 1), table.find(1, 0), table.find(-1, 0)]).toEqual([-1, -1, -1])
  table.add(-1, 0, 6)
  table.add(0, -1, 7)
  expect([table.find(0, 0), table.find(-1, 0), table.find(0, -1)].map((record) => table.get(record))).toEqual([5, 6, 7])
})

test("any order of adding, using, retiring and giving away agrees with a list", () => {
  const { below } = random(7)
  for (const keys of [1, 2, 3, 5, 17, 100, 3000]) {
    const table = new Table()
    // From the oldest to the newest.
    const model: { high: number; low: number; value: number }[] = []
    // Few different low words: buckets with long chains.
    const key = () => ({ high: below(keys), low: below(Math.ceil(keys / 3)) - 1 })
    for (let step = 0; step < 4000; step++) {
      const { high, low } = key()
      const at = model.findIndex((entry) => entry.high === high && entry.low === low)
      const record = table.find(high, low)
      expect(record >= 0).toBe(at >= 0)
      if (record < 0) {
        const full = model.length >= keys
        if (full) {
          model.shift()
          table.reuse(table.oldest, high, low, step)
        } else table.add(high, low, step)
        model.push({ high, low, value: step })
        continue
      }
      const entry = model[at]!
      expect(table.get(record)).toBe(entry.value)
      const what = below(3)
      if (what === 0) {
        entry.value = step
        table.set(record, step)
      } else {
        model.splice(at, 1)
        if (what === 1) model.push(entry)
        else model.unshift(entry)
        if (what === 1) table.touch(record)
        else table.retire(record)
      }
    }
    expect(table.size).toBe(model.length)
    expect(drain(table)).toEqual(model.map(({ value }) => value))
  }
})

const high = (i: number) => Math.imul(i, 0x9e3779b1)
const low = (i: number) => Math.imul(i, 0x85ebca6b) ^ 0x1234

test("100,000 keys are all found, at every size on the way, and in the order of their last use", () => {
  const table = new Table()
  const N = 100_000
  for (let i = 0; i < N; i++) {
    table.add(high(i), low(i), i)
    const earlier = (i * 7919) % (i + 1)
    expect(table.get(table.find(high(earlier), low(earlier)))).toBe(earlier)
  }
  expect(table.size).toBe(N)
  for (let i = 0; i < N; i += 2) table.touch(table.find(high(i), low(i)))
  const order = drain(table)
  expect(order.slice(0, 3)).toEqual([1, 3, 5])
  expect(order.slice(N / 2, N / 2 + 3)).toEqual([0, 2, 4])
})

test("every value can be shifted", () => {
  const table = new Table()
  for (let i = 0; i < 5000; i++) table.add(i, i, i)
  table.shift(10)
  expect([0, 4999].map((i) => table.get(table.find(i, i)))).toEqual([-10, 4989])
})
