import { describe, expect, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { resolve } from "node:path"
import { formatIp, ipv4, ipv6, parseIp, type Ip } from "../../src/policy/address.ts"
import { CidrInvalid, cidrs, inlineCidrs } from "../../src/policy/cidr.ts"
import { random } from "../helper/random.ts"

const within = (address: string, ...texts: string[]) => cidrs(...texts).contains(parseIp(address)!)

test.each([
  ["10.0.0.0/8", "10.255.255.255", true],
  ["10.0.0.0/8", "11.0.0.0", false],
  ["10.0.0.0/8", "9.255.255.255", false],
  ["0.0.0.0/0", "255.255.255.255", true],
  ["0.0.0.0/0", "2001:db8::1", false],
  ["::/0", "2001:db8::1", true],
  ["::/0", "10.0.0.1", false],
  ["192.0.2.1", "192.0.2.1", true],
  ["192.0.2.1", "192.0.2.2", false],
  ["192.0.2.1/32", "192.0.2.0", false],
  ["192.0.2.77/24", "192.0.2.1", true],
  ["128.0.0.0/1", "127.255.255.255", false],
  ["128.0.0.0/1", "255.0.0.0", true],
  ["2001:db8::/32", "2001:db8:ffff::", true],
  ["2001:db8::/32", "2001:db9::", false],
  ["2001:db8::1", "2001:db8::1", true],
  ["2001:db8::/127", "2001:db8::2", false],
  ["fe80::/10", "febf::1", true],
  ["fe80::/10", "fec0::1", false],
  ["::ffff:10.0.0.0/104", "10.9.9.9", true],
  ["::ffff:0:0/96", "1.2.3.4", true],
  ["10.0.0.0/8", "::ffff:10.1.1.1", true],
])("%s holds %s: %p", (cidr, address, expected) => {
  expect(within(address, cidr)).toBe(expected)
})

test.each([
  "",
  "/",
  "10.0.0.0/",
  "10.0.0.0/33",
  "10.0.0.0/-1",
  "10.0.0.0/08",
  "10.0.0.0/8/8",
  "10.0.0.0/8 ",
  "10.0.0.0 /8",
  "10/8",
  "10.0.0/24",
  "2001:db8::/129",
  "::ffff:10.0.0.0/95",
  "fe80::1%eth0/64",
  "[::]/0",
  "example.com",
  "10.0.0.0/8,10.1.0.0/16",
])("%p is refused", (text) => {
  expect(() => cidrs(text)).toThrow(CidrInvalid)
  expect(() => inlineCidrs([text])).toThrow(CidrInvalid)
})

test("what is no text is refused under its own name", () => {
  for (const value of [undefined, null, 10, 10n, {}, Symbol("x")])
    expect(() => cidrs(value as unknown as string)).toThrow(CidrInvalid)
})

test("an empty set holds nothing", () => {
  expect(within("10.0.0.1")).toBe(false)
  expect(within("::1")).toBe(false)
})

test("lists may be nested, and are kept as they were written", () => {
  expect(cidrs("10.0.0.0/8", ["192.0.2.7", "::1"]).cidrs).toEqual(["10.0.0.0/8", "192.0.2.7", "::1"])
})

test("a set of many overlapping ranges answers as each of its ranges does", () => {
  const { below } = random(3)
  const near4 = () => ipv4(0x0a000000 + below(2 ** 12))
  const near6 = () => ipv6(0x20010db8, 0, 0, below(2 ** 12))
  for (let round = 0; round < 200; round++) {
    const texts = Array.from({ length: below(30) }, () =>
      below(2) === 0 ? `${formatIp(near4())}/${20 + below(13)}` : `${formatIp(near6())}/${116 + below(13)}`,
    )
    const whole = cidrs(texts)
    const parts = texts.map((text) => cidrs(text))
    for (let i = 0; i < 50; i++) {
      const ip = below(2) === 0 ? near4() : near6()
      expect(whole.contains(ip)).toBe(parts.some((part) => part.contains(ip)))
    }
  }
})

const bits = (ip: Ip) =>
  (ip.family === "IPv4" ? [ip.a] : [ip.a, ip.b, ip.c, ip.d]).map((word) => word.toString(2).padStart(32, "0")).join("")

test("one range answers as comparing the leading bits does", () => {
  const { below } = random(4)
  const word = () => below(2 ** 32)
  for (let i = 0; i < 5000; i++) {
    const v4 = below(2) === 0
    const base = v4 ? ipv4(word()) : ipv6(0x20000000 + below(2 ** 28), word(), word(), word())
    const prefix = below(v4 ? 33 : 129)
    // Flip one bit, so that inside and outside are both met.
    const flipped = bits(base).split("")
    const at = below(flipped.length)
    flipped[at] = flipped[at] === "0" ? "1" : "0"
    const words = Array.from({ length: v4 ? 1 : 4 }, (_, w) =>
      Number.parseInt(flipped.slice(w * 32, w * 32 + 32).join(""), 2),
    )
    const other = v4 ? ipv4(words[0]!) : ipv6(words[0]!, words[1]!, words[2]!, words[3]!)
    if (other.family !== base.family) continue
    expect(cidrs(`${formatIp(base)}/${prefix}`).contains(other)).toBe(at >= prefix)
  }
})

test("arbitrary text is a CIDR or CidrInvalid", () => {
  const { text } = random(5)
  let good = 0
  for (let i = 0; i < 30_000; i++) {
    const input = text(["0", "10", "255", ".", ":", "::", "/", "8", "128", "ffff"], 9)
    try {
      cidrs(input)
      good++
    } catch (error) {
      expect(error).toBeInstanceOf(CidrInvalid)
    }
  }
  expect(good).toBeGreaterThan(10)
})

test("inline texts are compiled once, and one text is not taken for a list", () => {
  expect(inlineCidrs(["10.0.0.0/8", "::1"])).toBe(inlineCidrs(["10.0.0.0/8", "::1"]))
  expect(() => inlineCidrs(["10.0.0.0/8 ::1"])).toThrow(CidrInvalid)
  expect(() => inlineCidrs(["10.0.0.0/8\n::1"])).toThrow(CidrInvalid)
})

test("more inline texts than are cached still answer", () => {
  for (let i = 0; i < 3000; i++)
    expect(inlineCidrs([`10.${i >> 8}.${i & 255}.0/24`]).contains(ipv4(0x0a000001 + (i << 8)))).toBe(true)
})

interface MatchingCase {
  readonly test: string
  readonly desc: string
  readonly rule?: string
  readonly build_error: boolean
}

const vectors = resolve(import.meta.dir, "../../../shared/vectors/name-and-address-matching.json")
if (!existsSync(vectors)) console.log("skipped: address matching of other projects (shared/vectors is not there)")

describe.skipIf(!existsSync(vectors))("client IP rules of Traefik", () => {
  const { cases } = existsSync(vectors)
    ? (JSON.parse(readFileSync(vectors, "utf8")) as { cases: MatchingCase[] })
    : { cases: [] }
  const rules = cases.flatMap(({ desc, rule, build_error }) => {
    const cidr = /^ClientIP\(`(.*)`\)$/.exec(rule ?? "")?.[1]
    return cidr === undefined ? [] : [{ desc, cidr, build_error }]
  })

  test.each(rules)("$desc", ({ cidr, build_error }) => {
    if (build_error) expect(() => cidrs(cidr)).toThrow(CidrInvalid)
    else expect(cidrs(cidr).contains(parseIp(cidr.split("/")[0]!)!)).toBe(true)
  })

  test("there are some", () => {
    expect(rules.length).toBeGreaterThan(1)
  })
})
