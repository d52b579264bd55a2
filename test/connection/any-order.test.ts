// Clients and upstreams that do anything in any order: whatever happens, every connection ends with exactly one event,
// and nothing is left of it.
import { expect, setDefaultTimeout, test } from "bun:test"
import { deny, next, respond, route } from "../../src/policy/decision.ts"
import type { Connection } from "../../src/policy/connection.ts"
import { descriptors } from "../helper/black-hole.ts"
import { gateway, type OnConnect } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { freePort } from "../helper/ports.ts"
import { random, type Random } from "../helper/random.ts"
import { echo, upstream, type Serve } from "../helper/upstream.ts"
import { connect, type Wire } from "../helper/wire.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const CONNECTIONS = 400
const AT_ONCE = 25
const noise = new Uint8Array(new ArrayBuffer(400_000)).map((_, i) => (i * 7) & 255)

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** A handful of steps, the last of which ends the wire one way or another. */
async function acts(wire: Wire, { below }: Random): Promise<void> {
  for (let step = below(6); step > 0 && !wire.closed; step--) {
    switch (below(5)) {
      case 0:
      case 1:
        // Not waited for: the other side may never read it.
        void wire.write(noise.subarray(0, below(noise.length))).catch(() => undefined)
        break
      case 2:
        wire.pause()
        await turn()
        if (!wire.closed) wire.resume()
        break
      case 3:
        await Bun.sleep(below(4))
        break
      case 4:
        await turn()
    }
  }
  if (wire.closed) return
  if (below(3) === 0) wire.reset()
  else wire.end()
}

async function* parts() {
  for (let i = 0; i < 10; i++) yield noise
}

function policies({ below, pick }: Random, up: string): OnConnect {
  const dead = `tcp://127.0.0.1:${freePort()}`
  const answers: ((connection: Connection) => unknown)[] = [
    () => route(up),
    () => route(up),
    () => route([dead, up]),
    () => route(dead).or(respond("down")),
    async () => (await turn(), route(up, { idleTimeout: 300 })),
    async (connection) => (await connection.peek(1 + below(30_000), { within: 200 }).catch(() => undefined), route(up)),
    async (connection) => respond(await connection.peek(100, { within: 200 })),
    () => deny(),
    () => deny("", { reset: true }),
    () => deny("", { delay: 200 }),
    () => respond(noise),
    () => respond(parts()),
    () => respond("late", { delay: 100 }),
    () => next,
    () => undefined,
  ]
  return (connection) => pick(answers)(connection)
}

test.each([1, 2, 3])("every connection ends once and leaves nothing behind (seed %p)", async (seed) => {
  const chance = random(seed)
  const wires: Wire[] = []
  const serves: Serve[] = [
    echo,
    (wire) => acts(wire, chance),
    (wire) => wire.end(),
    (wire) => wire.reset(),
    (wire) => wire.write(noise).then(() => wire.reset()),
  ]
  const before = descriptors().size
  {
    using up = upstream((wire, nth) => {
      wires.push(wire)
      return chance.pick(serves)(wire, nth)
    })
    using gate = gateway(policies(chance, up.url), { maxConnections: 20 })
    let started = 0
    const one = async () => {
      while (started++ < CONNECTIONS) {
        const options = chance.below(2) === 0 ? { first: "first" } : {}
        // A denied client may be reset before it knows that it is connected.
        using client = await connect(gate.port, options).catch(() => undefined)
        if (client === undefined) continue
        await acts(client, chance)
        // Long enough for some to end by themselves.
        await Promise.race([client.closes(), Bun.sleep(chance.below(30))])
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, one))
    for (const wire of wires) wire[Symbol.dispose]()
    await eventually(() => gate.path.live.size === 0)
    // A client that reset before it was accepted never was a connection.
    expect(gate.events).toHaveLength(gate.path.accepted)
    expect(gate.path.accepted).toBeGreaterThan(CONNECTIONS / 2)
    expect(new Set(gate.events.map((event) => event.conn.id)).size).toBe(gate.events.length)
    expect(new Set(gate.events.map((event) => event.close.reason)).size).toBeGreaterThan(5)
    expect([gate.internalErrors, gate.path.delayed, gate.path.sideAttempts]).toEqual([[], 0, 0])
    expect(gate.listeners.status().map(({ state, active }) => [state, active])).toEqual([["up", 0]])
  }
  await eventually(() => descriptors().size <= before)
})
