// 32-bit hashes of keys, for picks by key. MurmurHash3 (x86_32) over UTF-16 units or address words: spreads well and
// allocates nothing. There is no random seed on purpose: the same key gives the same number in every process, so that
// several gateways, and one after a restart, send it to the same target. Nothing that a client could fill with colliding
// keys goes by these.

const C1 = 0xcc9e2d51
const C2 = 0x1b873593

/** One block of MurmurHash3. */
function block(hash: number, word: number): number {
  const k = Math.imul(word, C1)
  const mixed = hash ^ Math.imul((k << 15) | (k >>> 17), C2)
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

/** Its finish: every bit of the result depends on every bit of the hash. 0 to 2^32 - 1. */
export function scramble(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

/**
 * A text, each UTF-16 unit as one block. 0 to 2^32 - 1.
 * @param seed for another, independent hash of the same text
 */
export function hashText(text: string, seed = 0): number {
  let hash = seed | 0
  for (let i = 0; i < text.length; i++) hash = block(hash, text.charCodeAt(i))
  return scramble(hash ^ text.length)
}

/** An address: IPv4 in `a`, IPv6 in four words, most significant first. 0 to 2^32 - 1. */
export function hashAddress(address: {
  readonly a: number
  readonly b: number
  readonly c: number
  readonly d: number
}): number {
  return scramble(block(block(block(block(0, address.a), address.b), address.c), address.d))
}
