import { describe, expect, test } from "bun:test"
import { AddressListInvalid, ListReader, MOST_PREFIXES } from "../../src/limit/address-list.ts"
import type { AddressTable } from "../../src/policy/address-table.ts"
import { formatIp, ipv4, ipv6 } from "../../src/policy/address.ts"
import { cidrs } from "../../src/policy/cidr.ts"
import { random } from "../helper/random.ts"

/** Reads a text, in pieces that end where `ends` says. */
function read(text: string | Uint8Array, ends: readonly number[] = []): { table: AddressTable; size: number } {
  const bytes = typeof text === "string" ? Buffer.from(text) : text
  const reader = new ListReader("/lists/blocked.txt")
  let from = 0
  for (const end of [...ends, bytes.length]) {
    reader.feed(bytes.subarray(from, end))
    from = end
  }
  const steps = reader.steps()
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  return { table: step.value, size: reader.size }
}

function problemOf(text: string | Uint8Array): string {
  try {
    read(text)
  } catch (error) {
    if (error instanceof AddressListInvalid) return error.message
    throw error
  }
  return "none"
}

test("a list has one address or CIDR per line, comments, blank lines and any line ends", () => {
  const text = [
    "\uFEFF# office",
    "192.0.2.7",
    "  10.0.0.0/8\t# the old network",
    "",
    "; as some lists have them",
    "198.51.100.0/24;reason",
    "2001:db8::/32 ; documentation\r",
    "\t\r",
    "::ffff:203.0.113.0/120",
    "2001:DB8:1::1",
  ].join("\n")
  for (const list of [text, `${text}\n`, text.replaceAll(/\r?\n/g, "\r\n"), `${text}\n\n# größer als ASCII: é😀\n`]) {
    const { size, table } = read(list)
    expect(size).toBe(6)
    expect(table.cidrs()).toEqual(["10.0.0.0/8", "192.0.2.7/32", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"])
  }
})

test.each(["", "\n", "\r\n\r\n", "# nothing\n; at all", "\uFEFF", "\uFEFF# nothing"])("%j is an empty list", (text) => {
  expect(read(text).size).toBe(0)
  expect(read(text).table.cidrs()).toEqual([])
})

const EXPECTED = 'expected an address and a prefix length, like "10.0.0.0/8" or "2001:db8::/32"'

describe("anything else is an error with its place", () => {
  test.each([
    ["10.0.0.1\nexample.com\n", `2:1: "example.com" is not a CIDR: ${EXPECTED}`],
    ["# a\n\n  10.0.0.256", `3:3: "10.0.0.256" is not a CIDR: ${EXPECTED}`],
    ["10.0.0.0/33", '1:1: "10.0.0.0/33" is not a CIDR: the prefix length of an IPv4 address is 0 to 32'],
    ["\uFEFF10.0.0", `1:1: "10.0.0" is not a CIDR: ${EXPECTED}`],
    ["10.0.0.1 bad host", '1:10: expected one address or CIDR per line, found "bad host" behind it'],
    ["10.0.0.1 10.0.0.2 # two", '1:10: expected one address or CIDR per line, found "10.0.0.2 # two" behind it'],
    ["10.0.0.1,10.0.0.2", `1:1: "10.0.0.1,10.0.0.2" is not a CIDR: ${EXPECTED}`],
    ["10.0.0.1-10.0.0.9", `1:1: "10.0.0.1-10.0.0.9" is not a CIDR: ${EXPECTED}`],
    ["10.0.0.1\r10.0.0.2", '1:10: expected one address or CIDR per line, found "10.0.0.2" behind it'],
    ["höhe.example", `1:1: "höhe.example" is not a CIDR: ${EXPECTED}`],
    ["10.0.0.1\u00a0", `1:1: "10.0.0.1\u00a0" is not a CIDR: ${EXPECTED}`],
    ["10.0.0.1\0", `1:1: ${JSON.stringify("10.0.0.1\0")} is not a CIDR: ${EXPECTED}`],
    ["10.0.0.1/", '1:1: "10.0.0.1/" is not a CIDR: the prefix length of an IPv4 address is 0 to 32'],
    ["::1%eth0", `1:1: "::1%eth0" is not a CIDR: ${EXPECTED}`],
    [`10.0.0.1\n${"#".repeat(2000)}`, "2:1: a line has at most 1024 bytes; is this a list?"],
  ])("%j", (text, problem) => {
    expect(problemOf(text)).toBe(`/lists/blocked.txt:${problem}`)
  })

  test("a text in UTF-16, and a file that is no text", () => {
    expect(problemOf(Buffer.from("\uFEFF10.0.0.1\n", "utf16le"))).toStartWith("/lists/blocked.txt:1:1: ")
    expect(problemOf(new Uint8Array(100_000))).toBe(
      "/lists/blocked.txt:1:1: a line has at most 1024 bytes; is this a list?",
    )
    expect(problemOf(Buffer.from(Bun.gzipSync(Buffer.from("10.0.0.1\n"))))).toStartWith("/lists/blocked.txt:1:1: ")
  })

  test("the error has the place as values too", () => {
    try {
      read("10.0.0.1\n  nonsense")
      expect.unreachable()
    } catch (error) {
      if (!(error instanceof AddressListInvalid)) throw error
      const { column, line, path } = error
      expect({ column, line, path }).toEqual({ column: 3, line: 2, path: "/lists/blocked.txt" })
    }
  })
})

test("where the pieces end does not matter", () => {
  const source = random(11)
  const { below } = source
  const address = () =>
    formatIp(below(2) === 0 ? ipv4(below(2 ** 32)) : ipv6(0x20010db8, below(2 ** 32), 0, below(2 ** 32)))
  for (let round = 0; round < 200; round++) {
    const texts = Array.from({ length: below(30) }, address)
    const lines = texts.map((text) => `${" ".repeat(below(3))}${text}${below(3) === 0 ? " # a comment" : ""}`)
    const bytes = Buffer.from(lines.join(below(2) === 0 ? "\n" : "\r\n"))
    const ends = Array.from({ length: below(6) }, () => below(bytes.length + 1)).sort((a, b) => a - b)
    const { size, table } = read(bytes, ends)
    expect(size).toBe(texts.length)
    expect(table.cidrs()).toEqual(read(bytes).table.cidrs())
  }
  const bytes = Buffer.from("\uFEFF10.0.0.0/8 # é\r\n\r\n2001:db8::/32\r\n")
  const each = read(bytes, Array.from(bytes.keys()))
  expect(each.table.cidrs()).toEqual(["10.0.0.0/8", "2001:db8::/32"])
})

test("arbitrary bytes are a list or AddressListInvalid", () => {
  const { below, text } = random(12)
  let good = 0
  for (let i = 0; i < 20_000; i++) {
    const input = text(["10.0.0.1", "/8", "::1", "\n", "\n", "\r\n", " ", "#", ";", "\uFEFF", "\0", "é"], 8)
    const bytes = Buffer.from(input)
    if (bytes.length > 0 && below(4) === 0) bytes[below(bytes.length)] = below(256)
    if (problemOf(bytes) === "none") good++
  }
  expect(good).toBeGreaterThan(100)
})

test("a list says the same as cidrs() of its lines", () => {
  const { below } = random(13)
  const texts = Array.from({ length: 500 }, () =>
    below(2) === 0
      ? `${formatIp(ipv4(0x0a000000 + below(2 ** 16)))}/${20 + below(13)}`
      : `${formatIp(ipv6(0x20010db8, 0, 0, below(2 ** 16)))}/${110 + below(19)}`,
  )
  const { table } = read(texts.join("\n"))
  const set = cidrs(texts)
  for (let i = 0; i < 5000; i++) {
    const ip = below(2) === 0 ? ipv4(0x0a000000 + below(2 ** 17)) : ipv6(0x20010db8, 0, 0, below(2 ** 17))
    expect(table.contains(ip)).toBe(set.contains(ip))
  }
})

test("there is a most", () => {
  const reader = new ListReader("/lists/blocked.txt")
  const piece = Buffer.from("10.0.0.1\n".repeat(100_000))
  for (let i = 0; i < MOST_PREFIXES / 100_000; i++) reader.feed(piece)
  expect(reader.size).toBe(MOST_PREFIXES)
  expect(() => reader.feed(Buffer.from("10.0.0.2\n"))).toThrow(
    "/lists/blocked.txt:4000001:1: more than 4000000 prefixes, which is the most",
  )
})
