// What is counted together: from a connection to the 64 bits of its key. Addresses are hashed as numbers, so that the
// keys that need no code allocate nothing.
import { parseIp, type Ip } from "../policy/address.ts"
import type { Connection } from "../policy/connection.ts"
import { describe } from "../policy/describe.ts"
import { ADDRESS, type Hooks } from "../policy/hooks.ts"
import type { AnyKey } from "../policy/limit-options.ts"
import { LimitInvalid, type KeySpec } from "../policy/limits.ts"
import type { Hash } from "./hash.ts"

/** What comes before the key itself, so that no key of one kind is one of another; networks add their prefix length. */
const TAG = { unix: 1, all: 2, name: 3, nameless: 4, text: 5, number: 6, ipv4: 0x100, ipv6: 0x200 } as const

const float = new Float64Array(1)
const floatWords = new Int32Array(float.buffer)

/** Hashes keys that need no code. */
export class NamedKeys {
  private readonly kind: "network" | "sni" | "all"
  private readonly tag4: number
  private readonly tag6: number
  private readonly mask4: number
  /** Those of an IPv6 address. */
  private readonly a: number
  private readonly b: number
  private readonly c: number
  private readonly d: number

  constructor(key: KeySpec) {
    this.kind = typeof key === "string" ? key : "network"
    const { ipv4, ipv6 } = typeof key === "string" ? { ipv4: 0, ipv6: 0 } : key
    this.tag4 = TAG.ipv4 + ipv4
    this.tag6 = TAG.ipv6 + ipv6
    this.mask4 = mask(ipv4)
    this.a = mask(ipv6)
    this.b = mask(ipv6 - 32)
    this.c = mask(ipv6 - 64)
    this.d = mask(ipv6 - 96)
  }

  /** Whether the server name is the key. */
  get byName(): boolean {
    return this.kind === "sni"
  }

  /** Leaves the key in `hash`. */
  hash(hash: Hash, ip: Ip | undefined, sni: string | undefined): void {
    if (this.kind === "all") hash.tag(TAG.all)
    else if (this.kind === "network") this.network(hash, ip)
    else if (sni === undefined) hash.tag(TAG.nameless)
    else hash.text(TAG.name, sni)
  }

  private network(hash: Hash, ip: Ip | undefined): void {
    if (ip === undefined) hash.tag(TAG.unix)
    else if (ip.family === "IPv4") hash.word(this.tag4, ip.a & this.mask4)
    else hash.address(this.tag6, ip.a & this.a, ip.b & this.b, ip.c & this.c, ip.d & this.d)
  }
}

/** Hashes keys of the connections that policies see. */
export class Keys {
  private readonly what: string
  private readonly by: Extract<AnyKey, Function> | undefined
  private readonly named: NamedKeys

  /** @param what names the limit in messages */
  constructor(what: string, key: AnyKey) {
    this.what = what
    this.by = typeof key === "function" ? key : undefined
    this.named = new NamedKeys(typeof key === "function" ? "all" : key)
  }

  /** Leaves the connection's key in `hash`; false for one that is not limited. @throws LimitInvalid */
  hash(hash: Hash, connection: Connection): boolean {
    if (typeof connection !== "object" || connection === null)
      throw new LimitInvalid(
        `${this.what}: expected the connection that on_tcp_connect is given, found ${describe(connection)}`,
      )
    if (this.by !== undefined) return this.computed(hash, this.by(connection))
    // A name is read only where it is the key.
    this.named.hash(hash, addressOf(connection), this.named.byName ? connection.tls?.sni : undefined)
    return true
  }

  private computed(hash: Hash, key: unknown): boolean {
    if (key === undefined) return false
    if (typeof key === "string") hash.text(TAG.text, key)
    else if (typeof key === "number" && !Number.isNaN(key)) {
      // 0 and -0 are one number.
      float[0] = key + 0
      hash.address(TAG.number, floatWords[0]!, floatWords[1]!, 0, 0)
    } else
      throw new LimitInvalid(
        `${this.what}: key: expected a text or a number, or undefined for what is not limited, found ${describe(key)}`,
      )
    return true
  }
}

/** By the hook of our own connections; a test may bring one that it has written itself. */
function addressOf(connection: Connection & Partial<Hooks>): Ip | undefined {
  if (ADDRESS in connection) return connection[ADDRESS]
  const { address } = connection.client
  return address === undefined ? undefined : parseIp(address)
}

function mask(bits: number): number {
  if (bits <= 0) return 0
  return bits >= 32 ? -1 : -1 << (32 - bits)
}
