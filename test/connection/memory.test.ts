import { expect, setDefaultTimeout, test } from "bun:test"
import { lineChild } from "../helper/line-child.ts"
import { stalls, upstream } from "../helper/upstream.ts"
import { connect } from "../helper/wire.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const STALLED = 50

interface State {
  rss: number
  connected: number
  stalled: number
}

/** A gateway in a process of its own that routes to `target`. */
async function childGateway(target: string) {
  const child = lineChild(`${import.meta.dir}/gateway-fixture.ts`, target)
  const port = Number(await child.line())
  const state = async () => JSON.parse(await child.tell("?")) as State
  return { port, state, [Symbol.dispose]: () => child[Symbol.dispose]() }
}

async function reaches(state: () => Promise<State>, ready: (now: State) => boolean): Promise<State> {
  for (;;) {
    const now = await state()
    if (ready(now)) return now
    await Bun.sleep(20)
  }
}

test("a stalled reader costs the gateway less than 1 MiB", async () => {
  const block = new Uint8Array(new ArrayBuffer(1_048_576)).fill(7)
  let pouring = false
  using up = upstream(async (wire) => {
    stalls(wire)
    await wire.until(() => pouring)
    await wire.pour(block)
  })
  using gate = await childGateway(up.url)
  const clients = await Promise.all(Array.from({ length: STALLED }, () => connect(gate.port, { paused: true })))
  const idle = await reaches(gate.state, (now) => now.connected === STALLED)
  pouring = true
  for (let i = 0; i < STALLED; i++) {
    const wire = await up.connection(i)
    // Any event makes it look at its condition again.
    wire.resume()
  }
  const full = await reaches(gate.state, (now) => now.stalled === STALLED)
  for (const client of clients) client.reset()
  expect((full.rss - idle.rss) / STALLED).toBeLessThan(1_048_576)
})
