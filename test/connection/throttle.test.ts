import { expect, setDefaultTimeout, test } from "bun:test"
import { route } from "../../src/policy/decision.ts"
import { sharedBuckets } from "../../src/limit/bandwidth.ts"
import { Pools } from "../../src/upstream/pools.ts"
import { gateway, type TestGateway } from "../helper/data-path.ts"
import { NO_EXITS, poolSpec } from "../helper/pools.ts"
import { answers, echo, upstream } from "../helper/upstream.ts"
import { connect } from "../helper/wire.ts"

setDefaultTimeout(60_000)

/** What may pass at once, whatever the rate. */
const BURST = 65_536
const BODY = new Uint8Array(400_000).fill(7)
const RATE = 500_000

/** Milliseconds until everything has come. Never less than the rate allows, however slow the machine is. */
async function download(port: number): Promise<number> {
  using client = await connect(port, { first: "?" })
  client.end()
  const started = performance.now()
  expect(await client.bytes()).toEqual(BODY)
  return performance.now() - started
}

const least = (bytes: number) => ((bytes - Math.max(BURST, RATE / 2)) / RATE) * 1000

test("bytes to the client come no faster than its route says, and all of them come", async () => {
  using up = upstream(answers(() => BODY))
  using gate = gateway(() => route(up.url, { bandwidth: { down: RATE } }))
  expect(await download(gate.port)).toBeGreaterThanOrEqual(least(BODY.length))
  const [event] = await gate.ended(1)
  expect(event!.conn.bytes_out).toBe(BODY.length)
  expect(event!.close.reason).toBe("client-closed")
})

test("bytes from the client come no faster, those that were read before the decision included", async () => {
  using up = upstream(async (wire) => {
    const bytes = await wire.bytes()
    await wire.write(String(bytes.length))
    wire.end()
  })
  using gate = gateway(async (connection) => {
    await connection.peek(1000)
    return route(up.url, { bandwidth: { up: "500 kB/s" } })
  })
  using client = await connect(gate.port)
  const started = performance.now()
  await client.write(BODY)
  client.end()
  expect(await client.text()).toBe(String(BODY.length))
  expect(performance.now() - started).toBeGreaterThanOrEqual(least(BODY.length))
})

test("connections of one key share what there is; others do not notice", async () => {
  using up = upstream(answers(() => BODY))
  using gate = gateway(() => route(up.url, { bandwidth: { down: RATE, key: "client" } }))
  const both = await Promise.all([download(gate.port), download(gate.port)])
  expect(Math.max(...both)).toBeGreaterThanOrEqual(least(BODY.length * 2))
  await gate.ended(2)
  expect(sharedBuckets().used).toBe(0)
})

test("a listener's and a pool's bandwidth hold as well", async () => {
  using up = upstream(answers(() => BODY))
  const listen = { url: "tcp://127.0.0.1:0", bandwidth: { down: RATE } }
  using gate = gateway([{ listen, on_tcp_connect: () => route(up.url) }])
  expect(await download(gate.port)).toBeGreaterThanOrEqual(least(BODY.length))
  const pools = new Pools(NO_EXITS)
  pools.apply(new Map([["db", poolSpec([up.url], { bandwidth: { up: undefined, down: RATE, key: undefined } })]]))
  using pooled = gateway(() => route("db"), {}, { pools })
  expect(await download(pooled.port)).toBeGreaterThanOrEqual(least(BODY.length))
  pools.close()
})

/** One byte each way, after what is to be waited for. */
async function roundTrip(gate: TestGateway, bytes: number): Promise<void> {
  using client = await connect(gate.port)
  await client.write(new Uint8Array(bytes))
  expect(await client.atLeast(bytes)).toHaveLength(bytes)
  await client.write("!")
  await client.atLeast(bytes + 1)
  client.end()
  await client.bytes()
}

test("who is held back is not idle", async () => {
  using up = upstream(echo)
  using gate = gateway(() => route(up.url, { idleTimeout: 300, bandwidth: { up: 100_000 } }))
  // 100 kB beyond what may pass at once: a second.
  await roundTrip(gate, BURST + 100_000)
  expect((await gate.ended(1))[0]!.close.reason).toBe("client-closed")
})

test("a client that resets while it is held back ends at once", async () => {
  using up = upstream(echo)
  using gate = gateway(() => route(up.url, { bandwidth: { up: 1000 } }))
  using client = await connect(gate.port)
  await client.write(new Uint8Array(BURST * 2))
  await up.connection()
  client.reset()
  expect((await gate.ended(1))[0]!.close.reason).toBe("client-reset")
})
