// A map that remembers what was asked for lately, in two halves: when one is full, the other one is forgotten. Cheaper
// than knowing the order of all, and never more than twice the number.

export class Recent<Key, Value> {
  private readonly most: number
  private young = new Map<Key, Value>()
  private old = new Map<Key, Value>()

  /** @param most in each half */
  constructor(most: number) {
    this.most = most
  }

  get(key: Key): Value | undefined {
    const found = this.young.get(key)
    if (found !== undefined) return found
    const older = this.old.get(key)
    if (older !== undefined) this.set(key, older)
    return older
  }

  set(key: Key, value: Value): void {
    if (this.young.size >= this.most) {
      this.old = this.young
      this.young = new Map()
    }
    this.young.set(key, value)
  }
}
