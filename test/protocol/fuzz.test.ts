// Arbitrary bytes: the same ones in every run.
import { expect, test } from "bun:test"
import { HELLO_WIRE_LIMIT, parseClientHello } from "../../src/protocol/client-hello.ts"
import { detect } from "../../src/protocol/index.ts"
import { random } from "../helper/random.ts"
import { hello, messageOf, record } from "./hello.ts"
import { samples, strangers } from "./samples.ts"
import { fromHex, vectors, type FlowCase, type HelloCase } from "./vectors.ts"

const ROUNDS = 30_000
const { below, pick } = random(4)

const hellos = [
  hello({ sni: "a.example", alpn: ["h2", "http/1.1"], versions: [0x0304, 0x0303] }),
  ...(vectors<{ cases: HelloCase[] }>("clienthello.json")?.cases ?? []).map(({ hex }) => fromHex(hex)),
]
const firsts = [
  ...samples.map(([bytes]) => bytes),
  ...strangers,
  ...(vectors<{ flows: FlowCase[] }>("protocol-detect.json")?.flows ?? []).map((flow) =>
    fromHex(flow.client_first_bytes),
  ),
]

/** Some bytes changed, cut out, doubled or cut off; changed ones often to what breaks lengths. */
function mutated(bytes: Uint8Array): Uint8Array {
  let list = [...bytes]
  for (let changes = 1 + below(4); changes > 0; changes--) {
    const at = below(list.length + 1)
    const size = below(8)
    const kind = below(10)
    if (kind < 6) list[at] = pick([0, 1, 2, 0x7f, 0x80, 0xff, below(256), (list[at] ?? 0) ^ (1 << below(8))])
    else if (kind < 7) list.splice(at, size)
    else if (kind < 8) list.splice(at, 0, ...list.slice(at, at + size))
    else if (kind < 9) list = list.slice(0, at)
    else list.push(...Array.from({ length: size }, () => below(256)))
  }
  return Uint8Array.from(list, (byte) => byte ?? 0)
}

/** Reading on never takes an answer back. */
function expectStable(read: (bytes: Uint8Array) => unknown, bytes: Uint8Array) {
  const part = read(bytes.subarray(0, below(bytes.length + 1)))
  const whole = read(bytes)
  if (part !== "more" && JSON.stringify(part) !== JSON.stringify(whole)) {
    throw new Error(`${Buffer.from(bytes).toString("hex")}: ${JSON.stringify(part)}, then ${JSON.stringify(whole)}`)
  }
}

test("mutated hellos never throw, and a name that is read is one", () => {
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = mutated(pick(hellos))
    const found = parseClientHello(bytes)
    expectStable((seen) => name(parseClientHello(seen)), bytes)
    if (typeof found !== "object" || "error" in found) continue
    if (found.sni !== undefined && !/^[!-~]{1,255}$/.test(found.sni)) throw new Error(JSON.stringify(found.sni))
    expect(found.ja4).toMatch(/^t[0-9s]{2}|^td[123]/)
  }
})

function name(found: ReturnType<typeof parseClientHello>) {
  return typeof found !== "object" ? found : "error" in found ? found.error : (found.sni ?? null)
}

test("mutated hellos in records of any size never throw", () => {
  for (let round = 0; round < ROUNDS / 10; round++) {
    const message = messageOf(mutated(pick(hellos)))
    const bytes: number[] = []
    for (let at = 0; at < message.length;) {
      const size = 1 + below(pick([3, 40, 600]))
      bytes.push(...record(message.slice(at, at + size)))
      at += size
    }
    expectStable((seen) => name(parseClientHello(seen)), mutated(Uint8Array.from(bytes)))
  }
})

test("mutated first messages never throw, and what is named stays named", () => {
  for (let round = 0; round < ROUNDS; round++) expectStable(detect, mutated(pick(firsts)))
})

test("one message after another's beginning never throws", () => {
  for (let round = 0; round < ROUNDS / 3; round++) {
    const [first, second] = [pick(firsts), pick(firsts)]
    expectStable(detect, Uint8Array.from([...first.subarray(0, below(first.length)), ...second]))
  }
})

test("noise never throws, and hardly any is a protocol", () => {
  let named = 0
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = Uint8Array.from({ length: below(200) }, () => below(256))
    expectStable(detect, bytes)
    if (typeof detect(bytes, true) === "object") named++
  }
  expect(named).toBeLessThan(ROUNDS / 1000)
})

test("after the wire limit of a hello nothing asks for more", () => {
  for (let round = 0; round < 200; round++) {
    const bytes = new Uint8Array(HELLO_WIRE_LIMIT + below(100)).fill(below(256))
    bytes.set(mutated(pick(hellos)).subarray(0, below(200)))
    expect(parseClientHello(bytes)).not.toBe("more")
  }
})
