// Numbers by 64-bit keys, at most so many of them, in the order of their last use: what limits are counted in. Records
// lie in chunks of typed arrays and the table grows by one bucket with each of them (linear hashing: W. Litwin, VLDB
// 1980), so that it is as large as what it holds and never stops to grow: no step costs more than a chunk.

/** 32 bytes per record, of which two lie in one cache line: the value, then six 32-bit words, then a bucket's head. */
const WORDS = 8
const VALUES = 4
const HIGH = 2
const LOW = 3
/** The next record of the same bucket. References are numbers of records, 1 for the first; 0 is nobody. */
const CHAIN = 4
const OLDER = 5
const NEWER = 6
/** The first record of the bucket that has the number of this record: there are as many buckets as records. */
const HEAD = 7
/** 4,096 records, 128 KiB: what one step of growth allocates. */
const CHUNK_BITS = 12
const CHUNK = 1 << CHUNK_BITS
const IN_CHUNK = CHUNK - 1
/** 16 records, 512 bytes: the first chunk starts small, because most limits see few clients, and doubles. */
const SMALLEST = 16

export class Table {
  /** Records. */
  size = 0
  /** The record that was used longest ago; -1 while there is none. */
  oldest = -1
  private newest = -1
  private words: Int32Array[] = []
  private values: Float64Array[] = []
  /** The largest power of two up to `size`, less one: selects a bucket, after the last split. */
  private mask = 0

  /** The record of a key; -1 where there is none. */
  find(high: number, low: number): number {
    if (this.size === 0) return -1
    const { words } = this
    const bucket = this.bucketOf(low)
    let next = words[bucket >>> CHUNK_BITS]![(bucket & IN_CHUNK) * WORDS + HEAD]!
    while (next !== 0) {
      const record = next - 1
      const chunk = words[record >>> CHUNK_BITS]!
      const at = (record & IN_CHUNK) * WORDS
      if (chunk[at + LOW] === low && chunk[at + HIGH] === high) return record
      next = chunk[at + CHAIN]!
    }
    return -1
  }

  get(record: number): number {
    return this.values[record >>> CHUNK_BITS]![(record & IN_CHUNK) * VALUES]!
  }

  set(record: number, value: number): void {
    this.values[record >>> CHUNK_BITS]![(record & IN_CHUNK) * VALUES] = value
  }

  /** A new record, the newest, for a key that has none. */
  add(high: number, low: number, value: number): void {
    const record = this.size
    if ((record & IN_CHUNK) === 0 || record === this.room()) this.grow(record)
    this.size = record + 1
    if (record > 0) this.split(record)
    this.put(record, high, low, value)
    this.append(record)
  }

  /** Gives a record to another key, that has none; it becomes the newest. */
  reuse(record: number, high: number, low: number, value: number): void {
    this.removeFromBucket(record)
    this.put(record, high, low, value)
    this.touch(record)
  }

  /** Makes a record the newest. */
  touch(record: number): void {
    if (record === this.newest) return
    this.unlink(record)
    this.append(record)
  }

  /** Makes a record the oldest. */
  retire(record: number): void {
    if (record === this.oldest) return
    this.unlink(record)
    this.link(record, -1, this.oldest)
    if (this.oldest < 0) this.newest = record
    else this.setWord(this.oldest, OLDER, record + 1)
    this.oldest = record
  }

  /** Subtracts from every value. */
  shift(by: number): void {
    for (let record = 0; record < this.size; record++) this.set(record, this.get(record) - by)
  }

  private word(record: number, field: number): number {
    return this.words[record >>> CHUNK_BITS]![(record & IN_CHUNK) * WORDS + field]!
  }

  private setWord(record: number, field: number, value: number): void {
    this.words[record >>> CHUNK_BITS]![(record & IN_CHUNK) * WORDS + field] = value
  }

  private bucketOf(low: number): number {
    // Buckets that were split in this round are told apart by one more bit.
    const wide = low & (this.mask * 2 + 1)
    return wide < this.size ? wide : low & this.mask
  }

  private put(record: number, high: number, low: number, value: number): void {
    const bucket = this.bucketOf(low)
    this.setWord(record, HIGH, high)
    this.setWord(record, LOW, low)
    this.setWord(record, CHAIN, this.word(bucket, HEAD))
    this.setWord(bucket, HEAD, record + 1)
    this.set(record, value)
  }

  /** The new bucket takes its records from the one whose turn it is. */
  private split(bucket: number): void {
    if (bucket > this.mask * 2 + 1) this.mask = this.mask * 2 + 1
    const from = bucket & this.mask
    let next = this.word(from, HEAD)
    let stay = 0
    let move = 0
    while (next !== 0) {
      const record = next - 1
      next = this.word(record, CHAIN)
      if (this.bucketOf(this.word(record, LOW)) === bucket) {
        this.setWord(record, CHAIN, move)
        move = record + 1
      } else {
        this.setWord(record, CHAIN, stay)
        stay = record + 1
      }
    }
    this.setWord(from, HEAD, stay)
    this.setWord(bucket, HEAD, move)
  }

  private removeFromBucket(record: number): void {
    const bucket = this.bucketOf(this.word(record, LOW))
    const after = this.word(record, CHAIN)
    let next = this.word(bucket, HEAD)
    if (next === record + 1) return this.setWord(bucket, HEAD, after)
    while (this.word(next - 1, CHAIN) !== record + 1) next = this.word(next - 1, CHAIN)
    this.setWord(next - 1, CHAIN, after)
  }

  private append(record: number): void {
    this.link(record, this.newest, -1)
    if (this.newest < 0) this.oldest = record
    else this.setWord(this.newest, NEWER, record + 1)
    this.newest = record
  }

  private link(record: number, older: number, newer: number): void {
    this.setWord(record, OLDER, older + 1)
    this.setWord(record, NEWER, newer + 1)
  }

  private unlink(record: number): void {
    const older = this.word(record, OLDER) - 1
    const newer = this.word(record, NEWER) - 1
    if (older < 0) this.oldest = newer
    else this.setWord(older, NEWER, newer + 1)
    if (newer < 0) this.newest = older
    else this.setWord(newer, OLDER, older + 1)
  }

  private room(): number {
    return this.words.length === 1 ? this.words[0]!.length / WORDS : this.words.length * CHUNK
  }

  private grow(record: number): void {
    const last = this.words.length - 1
    const small = record > 0 && record < CHUNK
    const records = record === 0 ? SMALLEST : small ? record * 2 : CHUNK
    const buffer = new ArrayBuffer(records * WORDS * 4)
    const words = new Int32Array(buffer)
    if (small) words.set(this.words[last]!)
    const at = small ? last : last + 1
    this.words[at] = words
    this.values[at] = new Float64Array(buffer)
  }
}
