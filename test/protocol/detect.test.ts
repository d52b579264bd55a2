import { describe, expect, test } from "bun:test"
import { firstMatch } from "../../src/protocol/detect.ts"
import { detect, FIRST_BYTES_LIMIT, type Protocol } from "../../src/protocol/index.ts"
import { hello } from "./hello.ts"
import { samples, strangers } from "./samples.ts"
import { fromHex, vectors, type FlowCase, type MatcherCase } from "./vectors.ts"

const name = (found: Protocol | "more" | undefined) => (typeof found === "object" ? found.protocol : found)

/** What every beginning of the bytes gives: `"more"`, then one answer. */
function expectOneAnswer(bytes: Uint8Array) {
  const whole = detect(bytes)
  let size = 0
  while (size < bytes.length && detect(bytes.subarray(0, size)) === "more") size++
  for (; size < bytes.length; size++) expect([size, detect(bytes.subarray(0, size))]).toEqual([size, whole])
  return whole
}

/** The bytes and 300 times another. */
function followed(bytes: Uint8Array, byte: number): Uint8Array {
  const long = new Uint8Array(bytes.length + 300).fill(byte)
  long.set(bytes)
  return long
}

test.each(samples.map(([bytes, expected]) => [expected.protocol, bytes, expected] as const))(
  "%s: the facts, from any number of its bytes",
  (_, bytes, expected) => {
    expect(expectOneAnswer(bytes)).toEqual(expected)
    expect(detect(bytes, true)).toEqual(expected)
  },
)

test("tls: the hello", () => {
  const found = expectOneAnswer(hello({ sni: "a.example", alpn: ["h2"] }))
  expect(found).toMatchObject({ protocol: "tls", hello: { sni: "a.example", alpn: ["h2"] } })
})

test("a beginning of a message is never named as another protocol, also if it ends there", () => {
  for (const [bytes, expected] of samples) {
    for (let size = 0; size < bytes.length; size++) {
      const found = detect(bytes.subarray(0, size), true)
      expect([found === undefined || name(found) === expected.protocol, size]).toEqual([true, size])
    }
  }
})

test("what follows the first message changes nothing", () => {
  for (const [bytes, expected] of samples) {
    for (const byte of [0, 10, 0x41, 255]) {
      expect(detect(followed(bytes, byte))).toEqual(expected)
    }
  }
})

test("a buffer with an offset is read as its bytes are", () => {
  for (const [bytes, expected] of samples) {
    const buffer = Buffer.concat([Buffer.from("\x16\x03\x01"), bytes])
    expect(detect(buffer.subarray(3))).toEqual(expected)
  }
})

test.each(strangers.map((bytes) => [Buffer.from(bytes.subarray(0, 40)).toString("latin1"), bytes] as const))(
  "%j is nothing known",
  (_, bytes) => {
    expect(detect(bytes, true)).toBeUndefined()
    expect(expectOneAnswer(followed(bytes, 255))).toBeUndefined()
  },
)

test("no bytes: more, and nothing if none will follow", () => {
  expect(detect(new Uint8Array())).toBe("more")
  expect(detect(new Uint8Array(), true)).toBeUndefined()
})

test("no message is waited for beyond the limit", () => {
  const starts = [...samples.map(([bytes]) => bytes), ...strangers, hello({ sni: "a.example" })]
  for (const bytes of starts) {
    for (let size = 0; size < bytes.length; size += 1 + (size >> 3)) {
      for (const filler of [0x20, 0x61, 0x80]) {
        const long = new Uint8Array(FIRST_BYTES_LIMIT).fill(filler)
        long.set(bytes.subarray(0, size))
        expect(detect(long)).not.toBe("more")
      }
    }
  }
})

const one = (bytes: Uint8Array) => (bytes.length < 2 ? "more" : bytes[1] === 1 ? "one" : undefined)
const two = () => "two" as const

test("the first detector that does not say no decides, also while it asks for more", () => {
  const first = (...bytes: number[]) => firstMatch<string>([one, two], Uint8Array.from(bytes), false)
  expect([first(0), first(0, 1), first(0, 2)]).toEqual(["more", "one", "two"])
  expect(firstMatch<string>([one, two], Uint8Array.of(0), true)).toBeUndefined()
})

const captured = vectors<{ flows: FlowCase[]; matchers: MatcherCase[] }>("protocol-detect.json")

/** The names here for a label of the captures; what is not listed is not known here. */
const NAMES: Record<string, readonly string[]> = {
  http1: ["http"],
  websocket: ["http"],
  xmpp: ["xmpp"],
  mqtt: ["mqtt"],
  postgres: ["postgres"],
  redis: ["redis"],
  rdp: ["rdp"],
  ldap: ["ldap"],
  ssh: ["ssh"],
  vnc: ["vnc"],
  mysql: ["mysql"],
  // The captures call both versions by either name.
  socks: ["socks4", "socks5"],
  socks5: ["socks4", "socks5"],
}

describe.skipIf(captured === undefined)("captured flows", () => {
  const flows = captured?.flows ?? []
  test.each(flows.map((flow) => [flow.id, flow] as const))("%s", (_, flow) => {
    const found = name(expectOneAnswer(fromHex(flow.client_first_bytes)))
    const names: readonly unknown[] = NAMES[flow.expected.protocol] ?? [undefined]
    if (flow.first_speaker === "client") expect(names).toContain(found)
    else expect([undefined, "more", ...names]).toContain(found)
  })

  test("no flow is named as another protocol, however much of it is there", () => {
    for (const flow of flows) {
      const bytes = fromHex(flow.client_first_bytes)
      const allowed: readonly unknown[] = [undefined, ...(NAMES[flow.expected.protocol] ?? [])]
      for (let size = 0; size <= bytes.length; size++) {
        const found = name(detect(bytes.subarray(0, size), true))
        if (!allowed.includes(found)) throw new Error(`${flow.id}: ${size} bytes are ${found}`)
      }
    }
  })
})

/** What a matcher of another project is called here, where it is. */
const MATCHERS: Record<string, string> = { http_host: "http" }
/** Matchers for protocols that are not in the table. */
const UNKNOWN = new Set(["winbox", "wireguard", "syslog", "adb"])

describe.skipIf(captured === undefined)("the cases of other projects' matchers", () => {
  const matchers = captured?.matchers ?? []
  test.each(matchers.map((matcher) => [matcher.id, matcher] as const))("%s", (_, matcher) => {
    const bytes = fromHex(matcher.hex)
    // OpenVPN and DNS put the length in front over TCP.
    const sent = matcher.transport === "tcp" ? bytes : Uint8Array.of(bytes.length >> 8, bytes.length & 255, ...bytes)
    const found = expectOneAnswer(sent)
    const protocol = MATCHERS[matcher.protocol] ?? matcher.protocol
    const { options = {} } = matcher
    if (UNKNOWN.has(matcher.protocol)) return expect(found).toBeUndefined()
    if (matcher.expected.match) expect(name(found)).toBe(protocol as Protocol["protocol"])
    else if (matcher.protocol === "http_host")
      expect(typeof found === "object" && "host" in found && found.host).toBeFalsy()
    else if ("cookie_port" in options) expect(portOf(found)).not.toBe(options["cookie_port"] as number)
    else expect(name(found)).not.toBe(protocol as Protocol["protocol"])
    const facts: Record<string, unknown> = {}
    for (const [option, fact] of Object.entries(FACTS)) if (option in options) facts[fact] = options[option]
    if (matcher.expected.match) expect(found).toMatchObject(facts)
  })
})

/** The port in a routing token `<address>.<port>.0000`, whose numbers have their bytes swapped. */
function portOf(found: Protocol | "more" | undefined): number {
  const token = typeof found === "object" && found.protocol === "rdp" ? found.routingToken : undefined
  const port = Number(token?.split(".")[1])
  return (port >> 8) | ((port & 255) << 8)
}

/** Options and values of those projects, by the names that facts have here. */
const FACTS: Record<string, string> = {
  cookie_hash: "cookie",
  custom_info: "routingToken",
  port: "port",
  host: "host",
  auth_methods: "methods",
  mode: "mode",
  server_address: "serverAddress",
  server_port: "serverPort",
  next_state: "nextState",
}
