// Keys as 64 bits: by the published function, told apart by their kinds, and spread evenly under any seed.
import { expect, test } from "bun:test"
import { Hash, randomSeed } from "../../src/limit/hash.ts"
import { random } from "../helper/random.ts"

const left = (x: number, by: number) => ((x << by) | (x >>> (32 - by))) >>> 0

/** HalfSipHash as it is written down, slowly. */
function halfSipHash(
  seed: readonly [number, number],
  words: readonly number[],
  [each, last]: readonly [number, number],
) {
  const v = [seed[0], (seed[1] ^ 0xee) >>> 0, (0x6c796765 ^ seed[0]) >>> 0, (0x74656462 ^ seed[1]) >>> 0]
  const rounds = (n: number) => {
    for (let i = 0; i < n; i++) {
      v[0] = (v[0]! + v[1]!) >>> 0
      v[1] = (left(v[1]!, 5) ^ v[0]) >>> 0
      v[0] = left(v[0], 16)
      v[2] = (v[2]! + v[3]!) >>> 0
      v[3] = (left(v[3]!, 8) ^ v[2]) >>> 0
      v[0] = (v[0] + v[3]) >>> 0
      v[3] = (left(v[3], 7) ^ v[0]) >>> 0
      v[2] = (v[2] + v[1]) >>> 0
      v[1] = (left(v[1], 13) ^ v[2]) >>> 0
      v[2] = left(v[2], 16)
    }
  }
  for (const word of [...words, (words.length * 4) << 24]) {
    v[3] = (v[3]! ^ word) >>> 0
    rounds(each)
    v[0] = (v[0]! ^ word) >>> 0
  }
  v[2] = (v[2]! ^ 0xee) >>> 0
  rounds(last)
  const low = (v[1]! ^ v[3]!) >>> 0
  v[1] = (v[1]! ^ 0xdd) >>> 0
  rounds(last)
  return { low, high: (v[1] ^ v[3]!) >>> 0 }
}

function bytes({ low, high }: { low: number; high: number }): string {
  const view = new DataView(new ArrayBuffer(8))
  view.setUint32(0, low, true)
  view.setUint32(4, high, true)
  return Buffer.from(view.buffer).toString("hex")
}

const SEED = [0x03020100, 0x07060504] as const

test.each([
  [0, "218d1f59b9b83cc8"],
  [1, "d5e78a175be52ea1"],
  [2, "edfee820bce4858c"],
  [3, "7bc71f9faef5c799"],
])("the function of this test is HalfSipHash-2-4, by its published values: %i words", (count, expected) => {
  const words = Array.from({ length: count }, (_, i) => (0x03020100 + i * 0x04040404) >>> 0)
  expect(bytes(halfSipHash(SEED, words, [2, 4]))).toBe(expected)
})

test("keys are hashed by HalfSipHash-1-3", () => {
  const hash = new Hash(SEED)
  const { below } = random(4)
  const result = () => ({ low: hash.low >>> 0, high: hash.high >>> 0 })
  for (let i = 0; i < 1000; i++) {
    const [tag, a, b, c, d] = Array.from({ length: 5 }, () => below(2 ** 32)) as [
      number,
      number,
      number,
      number,
      number,
    ]
    hash.tag(tag)
    expect(result()).toEqual(halfSipHash(SEED, [tag], [1, 3]))
    hash.word(tag, a)
    expect(result()).toEqual(halfSipHash(SEED, [tag, a], [1, 3]))
    hash.address(tag, a, b, c, d)
    expect(result()).toEqual(halfSipHash(SEED, [tag, a, b, c, d], [1, 3]))
  }
  hash.text(9, "abc")
  expect(result()).toEqual(halfSipHash(SEED, [9, 3, 0x620061, 0x63], [1, 3]))
})

test("texts that differ anywhere, at any length, are different keys", () => {
  const hash = new Hash(randomSeed())
  const seen = new Map<string, string>()
  const add = (text: string) => {
    hash.text(1, text)
    const id = `${hash.high}:${hash.low}`
    expect(seen.get(id) ?? text).toBe(text)
    seen.set(id, text)
  }
  for (const length of [0, 1, 2, 3, 10, 2045, 2046, 2047, 2048, 2049, 2050, 2051, 4092, 4096, 10_000]) {
    const text = "a".repeat(length)
    add(text)
    add(`${text}\0`)
    for (let i = 0; i < length; i += Math.ceil(length / 50)) add(`${text.slice(0, i)}b${text.slice(i + 1)}`)
  }
  expect(seen.size).toBeGreaterThan(300)
})

test("addresses in a row are spread evenly, and no two are one key", () => {
  const hash = new Hash(randomSeed())
  const seen = new Set<bigint>()
  const buckets = new Uint32Array(256)
  const N = 200_000
  for (let i = 0; i < N; i++) {
    hash.word(0x120, 0x0a000000 + i)
    seen.add((BigInt(hash.high >>> 0) << 32n) | BigInt(hash.low >>> 0))
    buckets[hash.low & 255]!++
  }
  expect(seen.size).toBe(N)
  // 781 each; six standard deviations away is 948.
  expect(Math.max(...buckets)).toBeLessThan(950)
  expect(Math.min(...buckets)).toBeGreaterThan(612)
})

test("another seed gives other keys, and each process has its own", () => {
  const [a, b] = [new Hash([1, 2]), new Hash([1, 3])]
  a.word(1, 5)
  b.word(1, 5)
  expect([a.high, a.low]).not.toEqual([b.high, b.low])
  expect(randomSeed()).not.toEqual(randomSeed())
})
