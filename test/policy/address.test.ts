import { describe, expect, test } from "bun:test"
import { isIPv6 } from "node:net"
import {
  formatHostPort,
  formatIp,
  ipv4,
  ipv6,
  isLinkLocal,
  isLoopback,
  isUnspecified,
  parseIp,
  parseIpv4,
  parseIpv6,
} from "../../src/policy/address.ts"
import { random } from "../helper/random.ts"

const normal = (text: string) => {
  const ip = parseIp(text)
  return ip === undefined ? undefined : formatIp(ip)
}

describe("IPv4", () => {
  test.each(["0.0.0.0", "1.2.3.4", "10.0.0.1", "127.0.0.1", "192.168.255.0", "255.255.255.255"])(
    "%s is read",
    (text) => {
      expect(normal(text)).toBe(text)
    },
  )

  test.each([
    "",
    ".",
    "...",
    "1",
    "127.1",
    "10.0.1",
    "2130706433",
    "010.0.0.1",
    "10.00.0.1",
    "10.0.0.01",
    "0x7f.0.0.1",
    "256.0.0.1",
    "1.2.3.1000",
    "1.2.3.4.",
    ".1.2.3.4",
    "1..2.3",
    "1.2.3.4.5",
    " 1.2.3.4",
    "1.2.3.4 ",
    "1.2.3.-4",
    "1.2.3.4/32",
    "١.2.3.4",
  ])("%p is not an address", (text) => {
    expect(parseIp(text)).toBeUndefined()
    expect(parseIpv4(text)).toBeUndefined()
  })
})

describe("IPv6", () => {
  // RFC 5952 sections 4.1 to 4.3, and RFC 4291 section 2.2.
  test.each([
    ["2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"],
    ["2001:db8:0:0:0:0:2:1", "2001:db8::2:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:DB8::AbCd", "2001:db8::abcd"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    ["1:0:0:4:5:6:7:8", "1::4:5:6:7:8"],
    ["0:0:3:4:5:6:0:0", "::3:4:5:6:0:0"],
    ["2001:db8::1.2.3.4", "2001:db8::102:304"],
    ["ff02::1:ff00:0", "ff02::1:ff00:0"],
    ["fe80::1", "fe80::1"],
    // Mapped addresses are IPv4; other forms that hold an IPv4 address are not.
    ["::ffff:10.1.2.3", "10.1.2.3"],
    ["::FFFF:a01:203", "10.1.2.3"],
    ["0:0:0:0:0:ffff:255.255.255.255", "255.255.255.255"],
    ["::1.2.3.4", "::102:304"],
    ["64:ff9b::1.2.3.4", "64:ff9b::102:304"],
    ["::ffff:0:1.2.3.4", "::ffff:0:102:304"],
  ])("%s is %s", (text, expected) => {
    expect(normal(text)).toBe(expected)
  })

  test.each([
    ":",
    ":::",
    "1:",
    ":1",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "1::2::3",
    "12345::",
    "g::",
    "::-1",
    "::1%eth0",
    "[::1]",
    "::1/128",
    "1.2.3.4::",
    "::1.2.3",
    "::1.2.3.4:1",
    "::ffff:010.0.0.1",
    "1:2:3:4:5:6:7:1.2.3.4",
    " ::1",
    "::1\0",
    "1:2:3:4:5:6:7:8\0",
  ])("%p is not an address", (text) => {
    expect(parseIp(text)).toBeUndefined()
    expect(parseIpv6(text)).toBeUndefined()
  })
})

test("every address is read back from its normal form, which has exactly one spelling", () => {
  const { below } = random(1)
  const word = () => (below(3) === 0 ? 0 : below(2 ** 32))
  for (let i = 0; i < 20_000; i++) {
    const ip = below(4) === 0 ? ipv4(word()) : ipv6(word(), word(), word(), word())
    const text = formatIp(ip)
    expect(parseIp(text)).toEqual(ip)
    expect(text).toBe(text.toLowerCase())
    // Each word in full is another spelling of the same address.
    if (ip.family === "IPv6") {
      const long = [ip.a, ip.b, ip.c, ip.d].flatMap((w) =>
        [w >>> 16, w & 0xffff].map((half) => half.toString(16).padStart(4, "0")),
      )
      expect(normal(long.join(":").toUpperCase())).toBe(text)
      // The platform's own URL parser agrees, but for what we hold to be IPv4.
      expect(new URL(`http://[${long.join(":")}]/`).hostname).toBe(`[${text}]`)
    }
  }
})

test("arbitrary text is an address or is not, and never an error", () => {
  const { text } = random(2)
  const pieces = ["0", "1", "255", "ffff", "a", "F", ":", "::", ".", "[", "]", "%", "/", " ", "-"]
  let read = 0
  for (let i = 0; i < 50_000; i++) {
    const input = text(pieces, 12)
    const ip = parseIp(input)
    if (ip === undefined) continue
    read++
    expect(parseIp(formatIp(ip))).toEqual(ip)
  }
  expect(read).toBeGreaterThan(100)
})

test("what is an IPv6 address, the platform's own parser says too", () => {
  const { text } = random(6)
  const pieces = ["0", "1", "ffff", "a", "1234", "12345", ":", ":", "::", "0:0:", "1:2:3:", "1.2.3.4", "256.1.1.1", "."]
  let read = 0
  for (let i = 0; i < 50_000; i++) {
    const input = text(pieces, 8)
    // Zones are no part of an address here.
    expect([input, parseIpv6(input) !== undefined]).toEqual([input, isIPv6(input) && !input.includes("%")])
    if (isIPv6(input)) read++
  }
  expect(read).toBeGreaterThan(1000)
})

test("IPv6 stands in brackets before a port", () => {
  expect(formatHostPort("10.0.0.1", 80)).toBe("10.0.0.1:80")
  expect(formatHostPort("2001:db8::1", 80)).toBe("[2001:db8::1]:80")
  expect(formatHostPort("", 80)).toBe(":80")
})

test.each([
  ["169.254.169.254", true],
  ["169.253.255.255", false],
  ["::ffff:169.254.0.1", true],
  ["fe80::1", true],
  ["febf:ffff::1", true],
  ["fec0::1", false],
  ["fe7f::1", false],
])("link-local: %s is %p", (text, expected) => {
  expect(isLinkLocal(parseIp(text)!)).toBe(expected)
})

test.each([
  ["127.0.0.1", true],
  ["127.255.255.255", true],
  ["128.0.0.0", false],
  ["::1", true],
  ["::ffff:127.0.0.1", true],
  ["::2", false],
])("loopback: %s is %p", (text, expected) => {
  expect(isLoopback(parseIp(text)!)).toBe(expected)
})

test.each([
  ["0.0.0.0", true],
  ["::", true],
  ["::ffff:0.0.0.0", true],
  ["0.0.0.1", false],
  ["::1", false],
])("unspecified: %s is %p", (text, expected) => {
  expect(isUnspecified(parseIp(text)!)).toBe(expected)
})
