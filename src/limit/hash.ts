// Keys as 64 bits that nobody can aim: HalfSipHash-1-3 (https://github.com/veorq/SipHash), which Linux uses for its hash
// tables too, over 32-bit words, so that addresses and texts are hashed without making anything.
import { randomFillSync } from "node:crypto"

/** 2,048 UTF-16 units at a time: longer texts are rare, and are hashed in pieces. */
const MOST_WORDS = 1024
/** One round for each word and three at each end of the hash: "1-3". */
const LAST_ROUNDS = 3

/** Hashes into itself: {@link high} and {@link low} are the latest result, as signed 32-bit numbers. */
export class Hash {
  high = 0
  low = 0
  private readonly seedLow: number
  private readonly seedHigh: number
  private readonly words = new Int32Array(MOST_WORDS + 3)

  /** @param seed two random words that no client knows */
  constructor(seed: readonly [number, number]) {
    this.seedLow = seed[0] | 0
    this.seedHigh = seed[1] | 0
  }

  /** @param tag tells keys of one kind from those of another */
  tag(tag: number): void {
    this.words[0] = tag
    this.run(1)
  }

  word(tag: number, a: number): void {
    this.words[0] = tag
    this.words[1] = a
    this.run(2)
  }

  address(tag: number, a: number, b: number, c: number, d: number): void {
    const { words } = this
    words[0] = tag
    words[1] = a
    words[2] = b
    words[3] = c
    words[4] = d
    this.run(5)
  }

  text(tag: number, text: string): void {
    const { words } = this
    const { length } = text
    words[0] = tag
    words[1] = length
    let used = 2
    for (let i = 0; i < length; i += 2) {
      if (used === words.length) {
        // What was hashed so far stands for itself.
        this.run(used)
        words[0] = this.low
        words[1] = this.high
        used = 2
      }
      words[used++] = text.charCodeAt(i) | (i + 1 < length ? text.charCodeAt(i + 1) << 16 : 0)
    }
    this.run(used)
  }

  private run(count: number): void {
    const { words } = this
    let v0 = this.seedLow
    let v1 = this.seedHigh ^ 0xee
    let v2 = this.seedLow ^ 0x6c796765
    let v3 = this.seedHigh ^ 0x74656462
    // The words, the length in the last one, then the two ends.
    const rounds = count + 1 + 2 * LAST_ROUNDS
    for (let i = 0; i < rounds; i++) {
      let word = 0
      if (i < count) word = words[i]!
      else if (i === count) word = (count * 4) << 24
      else if (i === count + 1) v2 ^= 0xee
      else if (i === count + 1 + LAST_ROUNDS) {
        this.low = v1 ^ v3
        v1 ^= 0xdd
      }
      v3 ^= word
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
      v0 ^= word
    }
    this.high = v1 ^ v3
  }
}

/** A seed of this process alone. */
export function randomSeed(): readonly [number, number] {
  const [a, b] = randomFillSync(new Int32Array(2))
  return [a!, b!]
}
