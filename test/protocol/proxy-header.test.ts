// PROXY headers: every captured case, the rules of the specification, any cut of the bytes, and nonsense.
import { describe, expect, test } from "bun:test"
import { crc32c } from "../../src/protocol/crc32c.ts"
import { formatIpv4, formatIpv6 } from "../../src/protocol/ip.ts"
import {
  parseProxyHeader,
  proxyBytesWanted,
  PROXY_HEADER_LIMIT,
  type ProxyAddress,
  type ProxyHeader,
} from "../../src/protocol/proxy-header.ts"
import { random } from "../helper/random.ts"
import { fromHex, vectors } from "./vectors.ts"

interface ProxyCase {
  readonly id: string
  readonly hex: string
  readonly expected: {
    readonly ok: boolean
    readonly version?: number
    readonly command?: string
    readonly family?: string
    readonly src?: string
    readonly dst?: string
    readonly sport?: number
    readonly dport?: number
    readonly header_length?: number
    readonly use_socket_addresses?: boolean
    readonly need_more_until_eof?: boolean
    readonly tlv_types?: readonly number[]
    readonly ssl?: Readonly<Record<string, unknown>>
    readonly crc32c_valid?: boolean
  }
}

interface ProxyVectors {
  readonly cases: readonly ProxyCase[]
  readonly undefined_transport_bytes?: { readonly bytes: readonly number[] }
}

const files = ["proxy-protocol-v1.json", "proxy-protocol-v2.json"].map((file) => vectors<ProxyVectors>(file))
const cases = files.flatMap((file) => file?.cases ?? [])

const bytesOf = (text: string) => Uint8Array.from(Buffer.from(text, "latin1"))
const text = ({ a, b, c, d, family }: ProxyAddress) => (family === "IPv4" ? formatIpv4(a) : formatIpv6(a, b, c, d))

/** The header that these bytes begin with. */
function read(bytes: Uint8Array | string): ProxyHeader {
  const found = parseProxyHeader(typeof bytes === "string" ? bytesOf(bytes) : bytes)
  if (typeof found !== "object" || "error" in found) throw new Error(`no header: ${JSON.stringify(found)}`)
  return found
}

/** What is wrong with these bytes. */
function why(bytes: Uint8Array | string): string {
  const found = parseProxyHeader(typeof bytes === "string" ? bytesOf(bytes) : bytes)
  if (typeof found !== "object") return String(found)
  return "error" in found ? `${found.error}: ${found.detail}` : "a header"
}

const SIGNATURE = "0d0a0d0a000d0a515549540a"
/** A header of version 2: version and command, family and transport, then what its length counts. */
function binary(versionAndCommand: number, kind: number, ...parts: readonly (string | Uint8Array)[]): Uint8Array {
  const block = Buffer.concat(parts.map((part) => (typeof part === "string" ? fromHex(part) : part)))
  const fixed = [versionAndCommand, kind, block.length >> 8, block.length & 255]
  return Uint8Array.from([...fromHex(SIGNATURE), ...fixed, ...block])
}
const ENDS4 = "7f0000017f000002005001bb"
const tlv = (type: number, value: string | Uint8Array) => {
  const bytes = typeof value === "string" ? bytesOf(value) : value
  return Uint8Array.from([type, bytes.length >> 8, bytes.length & 255, ...bytes])
}

describe.skipIf(cases.length === 0)("the captured cases", () => {
  // The cases that say two things of one header, and what we made of each:
  // - "strict": a TLV that is cut off inside. HAProxy closes, and so do we, unless nothing of the value is there at all,
  //   which ppp-v2-partial_tlv wants accepted: then the TLV is left out.
  // - "strict_alternative": a transport without a family. The specification leaves it open; it is taken for nothing.
  // - "crc32c_valid": false: who checks the checksum has to refuse it.
  test.each(cases.map((each) => [each.id, each] as const))("%s", (_, { expected, hex }) => {
    const bytes = fromHex(hex)
    const found = parseProxyHeader(bytes)
    if (!expected.ok || expected.crc32c_valid === false) {
      if (expected.need_more_until_eof === true) return expect(found).toBe("more")
      // Nothing at all is no header either: it is waited for.
      if (bytes.length === 0) return expect(found).toBe("more")
      return expect(found === undefined || (found !== "more" && "error" in found)).toBe(true)
    }
    const header = read(bytes)
    const { source, destination, paths, tlvs } = header
    const { command, dport, dst, header_length: length, sport, src, ssl, tlv_types: types, version } = expected
    if (version !== undefined) expect<number>(header.version).toBe(version)
    if (command !== undefined) expect<string>(header.command).toBe(command.toLowerCase())
    if (length !== undefined) expect(header.length).toBe(length)
    if (expected.use_socket_addresses === true) expect([source, destination]).toEqual([undefined, undefined])
    if (src !== undefined) expect(source === undefined ? paths?.source : text(source)).toBe(src)
    if (dst !== undefined) expect(destination === undefined ? paths?.destination : text(destination)).toBe(dst)
    if (sport !== undefined) expect(source?.port).toBe(sport)
    if (dport !== undefined) expect(destination?.port).toBe(dport)
    if (types !== undefined) expect(tlvs.list.map(({ type }) => type)).toEqual([...types])
    if (ssl !== undefined)
      expect<unknown>({
        client_flags: tlvs.ssl?.client,
        verify: tlvs.ssl?.verify,
        version: tlvs.ssl?.version,
        cn: tlvs.ssl?.commonName ?? null,
        cipher: tlvs.ssl?.cipher,
      }).toEqual(ssl)
  })

  test("families and transports that nobody has defined are refused, in local headers too", () => {
    const bytes = files.flatMap((file) => file?.undefined_transport_bytes?.bytes ?? [])
    expect(bytes.length).toBeGreaterThan(200)
    for (const kind of bytes) {
      for (const command of [0x20, 0x21])
        expect([kind, why(binary(command, kind, "00".repeat(12)))]).toEqual([kind, expect.stringMatching(/^malformed/)])
    }
  })

  test("whatever is cut off is waited for, and any cut gives the same answer", () => {
    for (const { hex } of cases) {
      const bytes = fromHex(hex)
      const whole = JSON.stringify(parseProxyHeader(bytes))
      const length = (JSON.parse(whole ?? "null") as { length?: number } | null)?.length ?? bytes.length
      for (let end = 0; end < bytes.length; end++) {
        const found = parseProxyHeader(bytes.subarray(0, end))
        if (end >= length || found !== "more") expect([hex, end, JSON.stringify(found)]).toEqual([hex, end, whole])
        else expect(proxyBytesWanted(bytes.subarray(0, end))).toBeGreaterThan(end)
      }
    }
  })
})

describe("version 1", () => {
  test.each([
    ["PROXY TCP4 1.2.3.4 5.6.7.8 0 65535\r\n", "1.2.3.4", 0, "5.6.7.8", 65_535],
    ["PROXY TCP6 ::1 2001:DB8::a 1 2\r\n", "::1", 1, "2001:db8::a", 2],
    ["PROXY TCP6 :: ffff:: 1 2\r\n", "::", 1, "ffff::", 2],
    ["PROXY TCP6 ::ffff:1.2.3.4 1:2:3:4:5:6:7.8.9.10 1 2\r\n", "::ffff:1.2.3.4", 1, "1:2:3:4:5:6:708:90a", 2],
  ])("%j", (line, src, sport, dst, dport) => {
    const { destination, source, ...rest } = read(`${line}and more`)
    expect([text(source!), source!.port, text(destination!), destination!.port]).toEqual([src, sport, dst, dport])
    expect(rest).toMatchObject({ version: 1, command: "proxy", length: line.length })
  })

  test.each(["", " ", " 1 2 3 4 5 6", " 127.0.0.1 127.0.0.1 99999 99999", " \x00\xff\r \n "])("UNKNOWN%j", (rest) => {
    const line = `PROXY UNKNOWN${rest}\r\n`
    expect(read(`${line}\r\n`)).toMatchObject({ family: "unspecified", source: undefined, length: line.length })
  })

  test.each([
    ["PROXY \n", "none of TCP4"],
    ["PROXY TCP5 ", "none of TCP4"],
    ["PROXY tcp4 ", "none of TCP4"],
    ["PROXY TCP4\r\n", "none of TCP4"],
    ["PROXY UNKNOWNS\r\n", "none of TCP4"],
    ["PROXY UNKNOWN\n", "none of TCP4"],
    ["PROXY UNKNOWN\rX", "CR LF"],
    ["PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", "a character"],
    ["PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rx", "CR LF"],
    ["PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", "single spaces"],
    ["PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", "single spaces"],
    ["PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", "single spaces"],
    ["PROXY TCP4 1.2.3.4\t", "a character"],
    ["PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n", "single spaces"],
    ["PROXY TCP4 1.2.3.4  5.6.7.8 1\r\n", "source: not a port"],
    ["PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n", "source: not an IPv4"],
    ["PROXY TCP4 1.2.3.4 5.6.7.08 1 2\r\n", "destination: not an IPv4"],
    ["PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n", "source: not a port"],
    ["PROXY TCP4 1.2.3.4 5.6.7.8 1 00\r\n", "destination: not a port"],
    ["PROXY TCP4 1.2.3.4 5.6.7.8 1 -2\r\n", "a character"],
    ["PROXY TCP6 1.2.3.4 ::1 1 2\r\n", "source: not an IPv6"],
    ["PROXY TCP6 ::1 1::2::3 1 2\r\n", "destination: not an IPv6"],
    ["PROXY TCP6 fe80::1%eth0", "a character"],
    [`PROXY TCP4 ${"1".repeat(95)}`, "107 bytes"],
    [`PROXY UNKNOWN ${"x".repeat(93)}`, "107 bytes"],
  ])("%j is refused: %s", (line, reason) => {
    expect(why(line)).toContain(reason)
  })

  test.each([
    "",
    "P",
    "PROXY",
    "PROXY ",
    "PROXY T",
    "PROXY TCP",
    "PROXY UNKNOWN",
    "PROXY UNKNOWN\r",
    "PROXY UNKNOWN ?",
  ])("%j may become one", (line) => expect(why(line)).toBe("more"))

  test.each(["proxy TCP4 ", "PROXY\r\n", "PROXYTCP4 ", "X", "\r\n\r\n\0\r\nQUIT\r", "GET / HTTP/1.1\r\n"])(
    "%j is something else",
    (line) => expect(why(line)).toBe("undefined"),
  )
})

describe("version 2", () => {
  test("the values beside the addresses are told, and all of them are listed", () => {
    const ssl = Buffer.concat([
      fromHex("0700000000"),
      tlv(0x21, "TLSv1.3"),
      tlv(0x22, "Zoë"),
      tlv(0x23, "TLS_AES_128_GCM_SHA256"),
      tlv(0x24, "RSA-SHA256"),
      tlv(0x25, "RSA2048"),
      tlv(0x99, "?"),
    ])
    const parts = [
      tlv(1, "h2"),
      tlv(2, "DB.Example.com."),
      tlv(2, "other.example"),
      tlv(4, "padding"),
      tlv(5, "\x01id"),
      tlv(0x20, ssl),
      tlv(0x30, "blue"),
      tlv(0xea, ""),
    ]
    const { length, tlvs } = read(binary(0x21, 0x11, ENDS4, ...parts))
    expect(length).toBe(28 + parts.reduce((sum, part) => sum + part.length, 0))
    expect(tlvs).toMatchObject({ alpn: "h2", authority: "db.example.com", uniqueId: "\x01id", netns: "blue" })
    expect(tlvs.ssl).toEqual({
      client: 7,
      verify: 0,
      verified: true,
      version: "TLSv1.3",
      commonName: Buffer.from("Zoë", "latin1").toString("utf8"),
      cipher: "TLS_AES_128_GCM_SHA256",
      signatureAlgorithm: "RSA-SHA256",
      keyAlgorithm: "RSA2048",
    })
    expect(tlvs.list.map(({ type }) => type)).toEqual([1, 2, 2, 4, 5, 0x20, 0x30, 0xea])
    expect(tlvs.list.at(-1)!.value).toEqual(new Uint8Array())
    expect(tlvs.list[4]!.value).toEqual(bytesOf("\x01id"))
  })

  test("a certificate is verified where one was given and the result says so", () => {
    const told = ["0100000000", "0300000000", "0500000000", "0300000001"].map(
      (ssl) => read(binary(0x21, 0x11, ENDS4, tlv(0x20, fromHex(ssl)))).tlvs.ssl?.verified,
    )
    expect(told).toEqual([false, true, true, false])
  })

  test("a checksum is that of the header with zeros in its place, or the header is refused", () => {
    const header = binary(0x21, 0x11, ENDS4, tlv(5, "id"), tlv(3, fromHex("00000000")), tlv(1, "h2"))
    const place = 16 + 12 + 5 + 3
    new DataView(header.buffer).setUint32(place, crc32c(header, header.length, place))
    expect(read(header).tlvs).toMatchObject({ alpn: "h2", uniqueId: "id" })
    for (let at = 16; at < header.length; at++) {
      // Where it is no longer called a checksum it is none.
      if (at === place - 3) continue
      const changed = header.slice()
      changed[at]! ^= 1
      const found = parseProxyHeader(changed)
      expect([at, typeof found === "object" && "error" in found]).toEqual([at, true])
    }
    const twice = binary(0x21, 0x11, ENDS4, tlv(3, fromHex("00000000")), tlv(3, fromHex("00000000")))
    expect(why(twice)).toContain("two checksums")
  })

  test("CRC32c of what RFC 3720 has in its appendix B.4", () => {
    const zeros = new Uint8Array(32)
    const rising = Uint8Array.from({ length: 32 }, (_, i) => i)
    expect([crc32c(zeros, 32, 99), crc32c(zeros.fill(255), 32, 99), crc32c(rising, 32, 99)]).toEqual([
      0x8a9136aa, 0x62a8ab43, 0x46dd794e,
    ])
  })

  test.each([
    ["version 1", binary(0x11, 0x11, ENDS4), "version 1"],
    ["command 2", binary(0x22, 0x11, ENDS4), "command 2"],
    ["an unknown family", binary(0x21, 0x41, ENDS4), "0x41"],
    ["an unknown transport", binary(0x21, 0x13, ENDS4), "0x13"],
    ["too few bytes for IPv4", binary(0x21, 0x11, ENDS4.slice(2)), "too few for two addresses of family IPv4"],
    ["too few bytes for IPv6", binary(0x21, 0x22, ENDS4), "too few for two addresses of family IPv6"],
    ["too few bytes for unix", binary(0x21, 0x31, "00".repeat(215)), "too few for two addresses of family unix"],
    ["too few bytes for a family alone", binary(0x21, 0x10, "7f000001"), "too few"],
    ["a byte that is no TLV", binary(0x21, 0x11, ENDS4, "01"), "1 bytes behind the last TLV"],
    ["two bytes that are no TLV", binary(0x21, 0x11, ENDS4, tlv(1, "h2"), "0100"), "2 bytes behind the last TLV"],
    ["a TLV that is cut off", binary(0x21, 0x11, ENDS4, "01000500"), "type 1 that runs past its end"],
    ["an SSL TLV that is too short", binary(0x21, 0x11, ENDS4, tlv(0x20, "1234")), "an SSL TLV of 4 bytes"],
    ["an SSL TLV with a cut off one", binary(0x21, 0x11, ENDS4, tlv(0x20, "12345!\x00\x05x")), "inside the SSL TLV"],
    ["a unique id of 129 bytes", binary(0x21, 0x11, ENDS4, tlv(5, "x".repeat(129))), "a unique id of 129 bytes"],
  ])("%s is refused", (_, bytes, reason) => {
    expect(why(bytes)).toContain(reason)
  })

  test.each([
    ["a local header", binary(0x20, 0x00)],
    ["a local header with addresses and TLVs", binary(0x20, 0x11, ENDS4, tlv(1, "h2"))],
    ["a local header without the addresses of its family", binary(0x20, 0x11)],
    ["a local header with nonsense", binary(0x20, 0x00, "0102")],
    ["an unspecified family", binary(0x21, 0x00)],
    ["an unspecified family with addresses", binary(0x21, 0x00, ENDS4)],
    ["a family alone", binary(0x21, 0x20, "ff".repeat(41))],
    ["a transport alone", binary(0x21, 0x02, ENDS4)],
  ])("%s says nothing of the client", (_, bytes) => {
    const { destination, length, source, tlvs } = read(Uint8Array.from([...bytes, 1, 2, 3]))
    expect([source, destination, length, tlvs.list]).toEqual([undefined, undefined, bytes.length, []])
  })

  test("an unspecified family may bring values", () => {
    expect(read(binary(0x21, 0x00, tlv(5, "id"), tlv(2, "a.example"))).tlvs).toMatchObject({
      uniqueId: "id",
      authority: "a.example",
    })
  })

  test("ends of unix connections are paths or abstract names", () => {
    const ends = Buffer.alloc(216)
    ends.write("\0abstract", 0, "latin1")
    ends.fill("x", 108)
    expect(read(binary(0x21, 0x32, ends))).toMatchObject({
      family: "unix",
      source: undefined,
      paths: { source: "\0abstract", destination: "x".repeat(108) },
    })
    expect(read(binary(0x21, 0x31, new Uint8Array(216))).paths).toEqual({ source: "", destination: "" })
  })

  test("the longest header has 64 KiB and 15 bytes, and its values are only made for who asks", () => {
    const header = binary(0x21, 0x11, ENDS4, "00".repeat(65_523))
    expect(header.length).toBe(PROXY_HEADER_LIMIT)
    expect(why(header.subarray(0, -1))).toBe("more")
    expect(proxyBytesWanted(header.subarray(0, 16))).toBe(PROXY_HEADER_LIMIT)
    const { length, tlvs } = read(header)
    expect([length, tlvs.list.length]).toEqual([PROXY_HEADER_LIMIT, 21_841])
  })
})

describe("nonsense", () => {
  const ROUNDS = 30_000
  const { below, pick } = random(7)
  const headers = [
    ...cases.map(({ hex }) => fromHex(hex)),
    bytesOf("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET /"),
    bytesOf("PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\nGET /"),
    bytesOf("PROXY UNKNOWN ignored\r\nGET /"),
    binary(0x21, 0x11, ENDS4, tlv(1, "h2"), tlv(0x20, Buffer.concat([fromHex("0100000000"), tlv(0x21, "TLSv1.3")]))),
    binary(0x21, 0x31, "61".repeat(216), tlv(2, "a.example")),
  ]

  test("changed headers never throw, and reading on never takes an answer back", () => {
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = Array.from(pick(headers))
      for (let changes = 1 + below(3); changes > 0; changes--) {
        const at = below(bytes.length + 1)
        const kind = below(4)
        if (kind < 2) bytes[at] = pick([0, 1, 0x0a, 0x0d, 0x20, 0x21, 0x30, 0x7f, 0xff, below(256)])
        else if (kind === 2) bytes.splice(at, below(6))
        else bytes.splice(at, 0, ...bytes.slice(at, at + below(6)))
      }
      const whole = Uint8Array.from(bytes, (byte) => byte ?? 0)
      const found = parseProxyHeader(whole)
      const part = parseProxyHeader(whole.subarray(0, below(whole.length + 1)))
      if (part !== "more" && JSON.stringify(part) !== JSON.stringify(found))
        throw new Error(`${Buffer.from(whole).toString("hex")}: ${JSON.stringify(part)}, ${JSON.stringify(found)}`)
      if (typeof found === "object" && !("error" in found)) {
        expect(found.length).toBeLessThanOrEqual(whole.length)
        // The header is its first bytes alone.
        expect(JSON.stringify(parseProxyHeader(whole.subarray(0, found.length)))).toBe(JSON.stringify(found))
      }
    }
  })
})
