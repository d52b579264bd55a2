// PROXY headers as we write them: those of others, and our own parser reads them back.
import { describe, expect, test } from "bun:test"
import { parseProxyHeader, type ProxyAddress, type ProxyHeader } from "../../src/protocol/proxy-header.ts"
import { proxyBinary, proxyLine, type ProxyOutFacts } from "../../src/protocol/proxy-write.ts"
import { parseIpv4, ipv6Groups, word } from "../../src/protocol/ip.ts"
import { random } from "../helper/random.ts"
import { fromHex, vectors } from "./vectors.ts"

function at(text: string, port: number): ProxyAddress {
  const a = parseIpv4(text)
  if (a !== undefined) return { family: "IPv4", a, b: 0, c: 0, d: 0, port }
  const groups = ipv6Groups(text)!
  return { family: "IPv6", a: word(groups, 0), b: word(groups, 1), c: word(groups, 2), d: word(groups, 3), port }
}

function read(bytes: Uint8Array): ProxyHeader {
  const found = parseProxyHeader(bytes)
  if (typeof found !== "object" || "error" in found) throw new Error(`no header: ${JSON.stringify(found)}`)
  expect(found.length).toBe(bytes.length)
  return found
}

const line = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

describe("version 1", () => {
  test.each([
    ["192.0.2.1", "192.0.2.2", "PROXY TCP4 192.0.2.1 192.0.2.2 1 65535\r\n"],
    ["2001:db8::1", "::", "PROXY TCP6 2001:db8::1 :: 1 65535\r\n"],
    ["2001:db8::1", "192.0.2.2", "PROXY TCP6 2001:db8::1 ::ffff:192.0.2.2 1 65535\r\n"],
    ["192.0.2.1", "::1", "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 65535\r\n"],
  ])("%s to %s", (source, destination, expected) => {
    expect(line(proxyLine({ source: at(source, 1), destination: at(destination, 65_535) }))).toBe(expected)
  })

  test("without addresses", () => {
    expect(line(proxyLine(undefined))).toBe("PROXY UNKNOWN\r\n")
    expect(read(proxyLine(undefined))).toMatchObject({ family: "unspecified", source: undefined })
  })

  const cases =
    vectors<{ cases: readonly { id: string; hex: string; expected: { write_back?: string } }[] }>(
      "proxy-protocol-v1.json",
    )?.cases.filter(({ expected }) => expected.write_back !== undefined) ?? []

  test.skipIf(cases.length === 0)("what was read is written back as the captured cases have it", () => {
    expect(cases.length).toBeGreaterThan(0)
    for (const { expected, hex } of cases) {
      const found = parseProxyHeader(fromHex(hex))
      if (typeof found !== "object" || "error" in found) throw new Error(hex)
      expect(line(proxyLine({ source: found.source!, destination: found.destination! }))).toBe(expected.write_back!)
    }
  })
})

describe("version 2", () => {
  test("the bytes are those of the specification", () => {
    const ends = { source: at("192.0.2.1", 123), destination: at("192.0.2.2", 5678) }
    expect(Buffer.from(proxyBinary(ends)).toString("hex")).toBe(
      "0d0a0d0a000d0a515549540a2111000cc0000201c0000202007b162e",
    )
    expect(Buffer.from(proxyBinary(undefined)).toString("hex")).toBe("0d0a0d0a000d0a515549540a21000000")
    expect(Buffer.from(proxyBinary(undefined, { alpn: "h2" })).toString("hex")).toBe(
      "0d0a0d0a000d0a515549540a210000050100026832",
    )
  })

  const ssl = {
    version: "TLSv1.3",
    cipher: "TLS_AES_128_GCM_SHA256",
    certificate: "connection",
    verified: true,
    commonName: "Zoë",
  } as const

  test("what it says beside the addresses", () => {
    const facts = { alpn: "h2", authority: "db.example.com", uniqueId: "0mjwrcq0l00000001", ssl }
    const { tlvs } = read(proxyBinary({ source: at("::1", 1), destination: at("192.0.2.2", 2) }, facts))
    expect(tlvs).toMatchObject({ alpn: "h2", authority: "db.example.com", uniqueId: "0mjwrcq0l00000001" })
    expect(tlvs.ssl).toMatchObject({ client: 7, verify: 0, verified: true, version: "TLSv1.3", commonName: "Zoë" })
    expect(tlvs.ssl?.cipher).toBe("TLS_AES_128_GCM_SHA256")
  })

  test.each([
    ["none", false, { client: 1, verify: 1, verified: false }],
    ["session", true, { client: 5, verify: 0, verified: true }],
    ["connection", false, { client: 7, verify: 1, verified: false }],
  ] as const)("a certificate: %s, verified: %p", (certificate, verified, expected) => {
    const told = read(proxyBinary(undefined, { ssl: { ...ssl, certificate, verified, commonName: undefined } })).tlvs
    expect(told.ssl).toMatchObject({ ...expected, commonName: undefined })
  })

  test("the longest values have room", () => {
    const [longest, longer] = ["x".repeat(255), "é".repeat(512)]
    const most = { ...ssl, version: longest, cipher: longest, commonName: longer }
    const facts = { alpn: longest, authority: "x".repeat(1024), uniqueId: "y".repeat(128), ssl: most }
    const { tlvs } = read(proxyBinary({ source: at("::1", 1), destination: at("::2", 2) }, facts))
    expect(tlvs).toMatchObject({ alpn: longest, authority: facts.authority, uniqueId: facts.uniqueId })
    expect(tlvs.ssl).toMatchObject({ version: longest, cipher: longest, commonName: longer })
  })

  test.each(["x".repeat(1025), "é".repeat(513)])("a name that is too long, or empty, is left out", (long) => {
    const { tlvs } = read(proxyBinary(undefined, { authority: long, ssl: { ...ssl, commonName: long } }))
    expect([tlvs.authority, tlvs.ssl?.commonName, tlvs.ssl?.version]).toEqual([undefined, undefined, "TLSv1.3"])
    expect(read(proxyBinary(undefined, { authority: "" })).tlvs.authority).toBeUndefined()
  })
})

/** As one end is written beside the other. */
function mapped(one: ProxyAddress, other: ProxyAddress): ProxyAddress {
  return one.family === other.family || one.family === "IPv6"
    ? one
    : { family: "IPv6", a: 0, b: 0, c: 0xffff, d: one.a, port: one.port }
}

test("whatever is written is read back", () => {
  const { below, pick } = random(3)
  const address = (): ProxyAddress => {
    const [a, b, c, d] = [1, 2, 3, 4].map(() => pick([0, 0xffff, 0x10000, below(2 ** 32)])) as [
      number,
      number,
      number,
      number,
    ]
    const port = pick([0, 1, 65_535, below(65_536)])
    return below(2) === 0 ? { family: "IPv4", a, b: 0, c: 0, d: 0, port } : { family: "IPv6", a, b, c, d, port }
  }
  const name = () => pick([undefined, "a.example", "x".repeat(1 + below(255))])
  for (let round = 0; round < 5000; round++) {
    const [source, destination] = [address(), address()]
    const expected = { source: mapped(source, destination), destination: mapped(destination, source) }
    expect(read(proxyLine({ source, destination }))).toMatchObject(expected)
    const facts: ProxyOutFacts = { alpn: name(), authority: name(), uniqueId: pick([undefined, "id"]) }
    const header = read(proxyBinary({ source, destination }, facts))
    expect(header).toMatchObject(expected)
    expect({ ...header.tlvs }).toMatchObject(facts)
  }
})
