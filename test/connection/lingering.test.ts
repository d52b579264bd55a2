// Clients that were denied or answered and do not leave: they linger for seconds, and nobody has to wait for that.
import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { deny, respond, route } from "../../src/policy/decision.ts"
import type { Connection } from "../../src/policy/connection.ts"
import { Crowd } from "../helper/crowd.ts"
import { gateway, type TestGateway } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { freePort } from "../helper/ports.ts"
import { RawClient } from "../helper/raw.ts"
import { echo, upstream } from "../helper/upstream.ts"
import { connect } from "../helper/wire.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const CROWD = "127.0.1.1"
const isOfCrowd = ({ client }: Connection) => client.within(`${CROWD}/32`)
const afterTheFirst = async (connection: Connection) => {
  await connection.peek(1)
  return deny()
}

/** How all that have ended so far did. */
const ends = ({ events }: TestGateway) => [...new Set(events.map(({ close }) => `${close.reason} by ${close.by}`))]

async function told(port: number): Promise<string> {
  using client = await connect(port)
  return await client.text()
}

describe("at the cap, clients that linger make room", () => {
  test("for those who come", async () => {
    using gate = gateway((connection) => (isOfCrowd(connection) ? deny() : respond("ok")), { maxConnections: 40 })
    using crowd = await Crowd.connect(gate.port, 200, { from: CROWD })
    await eventually(() => crowd.over === 200)
    expect(await told(gate.port)).toBe("ok")
    expect(gate.path.live.size).toBeLessThanOrEqual(40)
    // The rest linger on.
    expect(gate.path.lingering.size).toBeGreaterThan(30)
    crowd.reset()
    await gate.ended(201)
    expect(ends(gate).sort()).toEqual(["answered by gateway", "denied by gateway"])
    expect(gate.path.lingering.size).toBe(0)
  })

  test("for those who wait in the backlog since before they began to", async () => {
    using gate = gateway((connection) => (isOfCrowd(connection) ? afterTheFirst(connection) : respond("ok")), {
      maxConnections: 40,
    })
    using crowd = await Crowd.connect(gate.port, 40, { from: CROWD })
    await eventually(() => gate.listeners.status()[0]!.state === "paused")
    const waiting = told(gate.port)
    crowd.send(Buffer.from("x"))
    expect(await waiting).toBe("ok")
  })

  test("and those who are served keep their places", async () => {
    using up = upstream(echo)
    using gate = gateway((connection) => (isOfCrowd(connection) ? deny() : route(up.url)), { maxConnections: 10 })
    const served = await Promise.all(Array.from({ length: 9 }, () => connect(gate.port, { first: "x" })))
    for (const client of served) await client.atLeast(1)
    using crowd = await Crowd.connect(gate.port, 20, { from: CROWD })
    await eventually(() => crowd.over === 20)
    for (const client of served) {
      await client.write("y")
      await client.atLeast(2)
      client[Symbol.dispose]()
    }
  })
})

const capped = (port: number, listen: object, hostname = "127.0.0.1") => ({
  listen: { url: `tcp://${hostname}:${port}`, ...listen },
  on_tcp_connect: (connection: Connection) => (isOfCrowd(connection) ? deny() : respond("ok")),
})

describe("at the cap of a listener", () => {
  test("its own make room", async () => {
    using gate = gateway([capped(0, { maxConnections: 8 })])
    using crowd = await Crowd.connect(gate.port, 40, { from: CROWD })
    await eventually(() => crowd.over === 40)
    expect(await told(gate.port)).toBe("ok")
    expect(gate.path.lingering.size).toBeLessThanOrEqual(8)
  })

  test("that has one place, nobody lingers who has got everything", async () => {
    using gate = gateway([capped(0, { maxConnections: 1 })])
    using crowd = new Crowd(gate.port, 20, { from: CROWD })
    await eventually(() => crowd.over === 20)
    expect(await Promise.all([told(gate.port), told(gate.port)])).toEqual(["ok", "ok"])
    expect(gate.events.length).toBeGreaterThan(20)
  })

  test("an answer arrives whole all the same", async () => {
    const answer = Buffer.alloc(3_000_000, "abcdefghijklmnopqrstuvwxyz")
    using gate = gateway([
      { listen: { url: "tcp://127.0.0.1:0", maxConnections: 1 }, on_tcp_connect: () => respond(answer) },
    ])
    const clients = await Promise.all([0, 1, 2].map(() => RawClient.connect(gate.port, 16_384)))
    // What nobody reads before the answer is out must not reset it.
    for (const client of clients) client.send(new Uint8Array(new ArrayBuffer(1000)))
    for (const client of clients) expect(await client.readAll()).toMatchObject({ bytes: answer.length, end: "FIN" })
    for (const client of clients) client[Symbol.dispose]()
  })

  test("that shares its socket, nobody is turned away for them", async () => {
    const port = freePort()
    using gate = gateway([capped(port, {}, ""), capped(port, { maxConnections: 4 })])
    using crowd = await Crowd.connect(port, 20, { from: CROWD })
    await eventually(() => crowd.over === 20)
    expect(await told(port)).toBe("ok")
    expect(gate.refusals).toEqual([])
  })
})
