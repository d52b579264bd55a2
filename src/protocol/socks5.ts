// SOCKS 5: the greeting with the methods of authentication (RFC 1928 section 3). The target follows after an answer.

/** The greeting of a SOCKS 5 client. */
export interface Socks5 {
  readonly protocol: "socks5"
  /** 0 none, 1 GSSAPI, 2 user name and password; more in the IANA registry "SOCKS Methods". */
  readonly methods: readonly number[]
}

/** 0 to 9 are registered, 0x80 to 0xfe are private; a list with others, or with one twice, is another protocol's. */
const LAST_REGISTERED = 9
const FIRST_PRIVATE = 0x80
const NOT_A_METHOD = 0xff

export function socks5(bytes: Uint8Array): Socks5 | "more" | undefined {
  if (bytes.length > 0 && bytes[0] !== 5) return undefined
  if (bytes.length < 2) return "more"
  const count = bytes[1]!
  if (count === 0) return undefined
  const methods: number[] = []
  for (let at = 2; at < Math.min(bytes.length, 2 + count); at++) {
    const method = bytes[at]!
    if ((method > LAST_REGISTERED && method < FIRST_PRIVATE) || method === NOT_A_METHOD) return undefined
    if (methods.includes(method)) return undefined
    methods.push(method)
  }
  return methods.length === count ? { protocol: "socks5", methods } : "more"
}
