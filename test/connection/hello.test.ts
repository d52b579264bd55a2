// `tls://` listeners: the hello is read before anybody is asked.
import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { respond } from "../../src/policy/decision.ts"
import type { Connection } from "../../src/policy/connection.ts"
import { gateway } from "../helper/data-path.ts"
import { CUTS, sendPieces } from "../helper/pieces.ts"
import { random } from "../helper/random.ts"
import { connect } from "../helper/wire.ts"
import { fromHex, vectors, type HelloCase } from "../protocol/vectors.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const listen = "tls://127.0.0.1:0"
const ALERTS: Readonly<Record<number, string>> = {
  40: "handshake_failure",
  49: "access_denied",
  50: "decode_error",
  80: "internal_error",
  112: "unrecognized_name",
  120: "no_application_protocol",
}

/** The name of the alert that these bytes are; what else they are, as text. */
function alertIn(bytes: Uint8Array): string {
  const isAlert = bytes.length === 7 && Buffer.from(bytes.subarray(0, 6)).equals(Buffer.from([21, 3, 3, 0, 2, 2]))
  return isAlert ? (ALERTS[bytes[6]!] ?? `alert ${bytes[6]}`) : new TextDecoder().decode(bytes)
}

const say = (connection: Connection) => respond(JSON.stringify(connection.tls))

const FILES = ["clienthello.json", "clienthello-record-split.json", "clienthello-edge.json"]
const cases = FILES.flatMap((file) => vectors<{ cases: HelloCase[] }>(file)?.cases ?? [])
/** Its lengths contradict each other. */
const BROKEN = "ndpi-0597"
/** Read by some, refused by others: a handshake length that is not that of its record. */
const LENIENT = "client_hello_lenient"

/** What a client is told that sends this hello and its FIN; `undefined` where either is right. */
function wanted({ id, expected }: HelloCase): unknown {
  if (expected.result === LENIENT) return undefined
  if (id === BROKEN || (expected.result ?? "client_hello") !== "client_hello") return "decode_error"
  const fields: Record<string, unknown> = {}
  for (const name of ["sni", "alpn", "ja3", "ja4"]) {
    if (name in expected) fields[name] = expected[name]
  }
  return fields
}

/** The same fields of an answer. */
function told(answer: Uint8Array, fields: unknown): unknown {
  if (answer[0] !== 0x7b) return alertIn(answer)
  const { sni = null, alpn, ...rest } = JSON.parse(new TextDecoder().decode(answer)) as Record<string, unknown>
  const all: Record<string, unknown> = { ...rest, sni, alpn: (alpn as string[]).length === 0 ? null : alpn }
  return Object.fromEntries(Object.keys(fields ?? {}).map((name) => [name, all[name]]))
}

describe.skipIf(cases.length === 0)("every captured hello is told to the policy as it is", () => {
  test.each(Object.keys(CUTS))("%s", async (cut) => {
    using gate = gateway([{ listen, on_tcp_connect: say }])
    const wrong = await Promise.all(
      cases.map(async (each, i) => {
        const pieces = CUTS[cut]!(fromHex(each.hex), random(i))
        using client = await connect(gate.port)
        await sendPieces(gate, client, pieces)
        client.end()
        const answer = await client.bytes()
        await client.closes()
        const expected = wanted(each)
        const found = expected === undefined ? undefined : told(answer, expected)
        return Bun.deepEquals(found, expected) ? undefined : { id: each.id, found, expected }
      }),
    )
    expect(wrong.filter((each) => each !== undefined)).toEqual([])
    await gate.ended(cases.length)
    const named = cases.filter((each) => typeof wanted(each) === "object")
    expect(gate.events.filter((event) => event.close.reason === "answered").map((event) => event.conn.server_name).sort()).toEqual([])
    expect(gate.internalErrors).toEqual([])
    expect(gate.path.live.size).toBe(0)
  })
})
