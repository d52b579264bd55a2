import { expect, test } from "bun:test"
import { Recent } from "../../src/limit/recent.ts"
import { random } from "../helper/random.ts"

test("the latest are remembered, at least as many as are named and at most twice", () => {
  const recent = new Recent<number, string>(100)
  for (let key = 0; key < 1000; key++) recent.set(key, `${key}`)
  const known = Array.from({ length: 1000 }, (_, key) => key).filter((key) => recent.get(key) !== undefined)
  expect(known.length).toBeGreaterThanOrEqual(100)
  expect(known.length).toBeLessThanOrEqual(200)
  expect(known.at(-1)).toBe(999)
})

test("what is asked for again and again is never forgotten, whatever else comes", () => {
  const { below } = random(51)
  const recent = new Recent<number, number>(50)
  recent.set(-1, 7)
  for (let i = 0; i < 10_000; i++) {
    const key = below(5000)
    const found = recent.get(key)
    if (found === undefined) recent.set(key, key * 2)
    else expect(found).toBe(key * 2)
    expect(recent.get(-1)).toBe(7)
  }
})
