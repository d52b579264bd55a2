// More clients than there is room for, or than may come: nobody else waits for them, and all of it is counted and given
// back.
import { expect, test } from "bun:test"
import { Crowd } from "../helper/crowd.ts"
import { askFrom } from "../helper/ask-from.ts"
import { tidegate } from "../helper/cli.ts"
import { eventually } from "../helper/eventually.ts"
import { servedDuring } from "../helper/onlooker.ts"
import { RUNTIME, serve, type Served } from "../helper/serve.ts"
import { descriptorsOf, forgetPeak, givenBack, memoryOf, peakOf } from "../helper/vitals.ts"

const ATTACKER = "127.0.1.1"
/** What the gateway needs besides its connections: less than this, in bytes, though it comes and goes. */
const MEMORY = 100e6

const policy = (listen: object, body: string, head = "") => `import * as tidegate from "tidegate"
const { deny, respond } = tidegate
export const listen = ${JSON.stringify({ url: "tcp://127.0.0.1:0", ...listen })}
${head}
export async function on_tcp_connect(connection: tidegate.Connection) {
  if (connection.client.address !== "${ATTACKER}") return respond("served")
  ${body}
}
`

/** 200: the kernel keeps 1,000 packets of a loopback that it has no time for, and drops those of larger bursts for a second. */
const AT_ONCE = 200

/** Connects so many times and is closed each time. */
async function knock(
  port: number,
  times: number,
  after: (knocked: number) => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  for (let knocked = 0; knocked < times; knocked += AT_ONCE) {
    using crowd = new Crowd(port, AT_ONCE, { from: ATTACKER })
    await eventually(() => crowd.over === AT_ONCE)
    await after(knocked)
  }
}

/** How many of them have not been closed. */
const held = (crowd: Crowd) => crowd.size - crowd.over

const refused = (gateway: Served) => gateway.refusals.reduce((sum, { count }) => sum + count, 0)

const by = (gateway: Served, reason: string) => gateway.events.filter(({ close }) => close.reason === reason).length

/** A new address every time, so that no limit of the gateway's is reached. */
const anyone = { from: (nth: number) => `127.0.${2 + (nth >> 7)}.${1 + (nth & 127)}` }

const KNOCKS = 20_000
const ADMITTED = 50

test("20,000 connects from one address to a listener with limits are refused before there is a connection, and counted", async () => {
  const limits = { rateLimit: { limit: ADMITTED, per: "1 hour" }, concurrencyLimit: { max: 40 } }
  await using gateway = await serve({ "p.ts": policy(limits, 'return respond("one of them")') })
  const port = await gateway.port("p.ts")
  await askFrom("127.0.9.9", port)
  const [idle, memory] = [descriptorsOf(gateway.pid), memoryOf(gateway.pid)]
  forgetPeak(gateway.pid)
  const served = await servedDuring(port, knock(port, KNOCKS), anyone)
  expect(served).toBeGreaterThan(0)
  await gateway.until(() => refused(gateway) + by(gateway, "answered") >= KNOCKS + served + 2)
  // Of those who come at once, 40 may be there; whoever leaves makes room for the next, until 50 have come.
  const ofAttacker = gateway.events.filter(({ conn }) => conn.client_ip === ATTACKER)
  expect(ofAttacker.length).toBe(ADMITTED)
  expect(refused(gateway)).toBe(KNOCKS - ADMITTED)
  expect(new Set(gateway.refusals.map(({ reason }) => reason))).toEqual(new Set(["limit-reached"]))
  await givenBack(gateway.pid, idle)
  expect(peakOf(gateway.pid) - memory).toBeLessThan(MEMORY)
}, 120_000)

test("20,000 connects from one address that a policy denies are each on record", async () => {
  const head = `const perClient = tidegate.rateLimit("per-client", { limit: ${ADMITTED}, per: "1 hour" })`
  const body = 'return perClient.take(connection) ? respond("one of them") : deny("slow down")'
  await using gateway = await serve({ "p.ts": policy({}, body, head) })
  const port = await gateway.port("p.ts")
  await askFrom("127.0.9.9", port)
  const [idle, memory] = [descriptorsOf(gateway.pid), memoryOf(gateway.pid)]
  forgetPeak(gateway.pid)
  // So that the events are read in time, also where this process gets little done.
  const read = (knocked: number) => gateway.until(() => gateway.events.length >= knocked)
  const served = await servedDuring(port, knock(port, KNOCKS, read))
  expect(served).toBeGreaterThan(0)
  await gateway.until(() => gateway.events.length >= KNOCKS + served + 2)
  expect(by(gateway, "denied")).toBe(KNOCKS - ADMITTED)
  await givenBack(gateway.pid, idle)
  expect(peakOf(gateway.pid) - memory).toBeLessThan(MEMORY)
}, 120_000)

test("2,000 denied clients that stay at a gateway of 400 keep nobody out", async () => {
  await using gateway = await serve({ "p.ts": policy({}, 'return deny("no")') }, "--max-connections", "400")
  const port = await gateway.port("p.ts")
  const idle = descriptorsOf(gateway.pid)
  using crowd = new Crowd(port, 2000, { from: ATTACKER })
  await servedDuring(
    port,
    eventually(() => crowd.over === 2000),
  )
  // They have not left, and the gateway is full of them.
  expect(await askFrom("127.0.0.9", port)).toBe("served")
  expect(descriptorsOf(gateway.pid)).toBeGreaterThan(300)
  crowd.reset()
  await givenBack(gateway.pid, idle)
}, 30_000)

test("half-open clients beyond the cap wait in the backlog, and it recovers when they leave", async () => {
  await using gateway = await serve(
    {
      "flooded.ts": policy({ maxConnections: 100 }, "await connection.peek(1)\n  return deny()"),
      "other.ts": policy({}, "await connection.peek(1)\n  return deny()"),
    },
    "--max-connections",
    "300",
  )
  const [flooded, other] = [await gateway.port("flooded.ts"), await gateway.port("other.ts")]
  const idle = descriptorsOf(gateway.pid)
  using first = await Crowd.connect(flooded, 1000, { from: ATTACKER })
  await eventually(() => descriptorsOf(gateway.pid) >= idle + 100)
  // Its own clients wait; nobody else's do.
  expect(await askFrom("127.0.0.9", other)).toBe("served")
  expect(descriptorsOf(gateway.pid)).toBeLessThan(idle + 110)
  using second = await Crowd.connect(other, 1000, { from: ATTACKER })
  await eventually(() => descriptorsOf(gateway.pid) >= idle + 300)
  expect(descriptorsOf(gateway.pid)).toBeLessThan(idle + 310)
  const waiting = Promise.all([askFrom("127.0.0.9", flooded), askFrom("127.0.0.9", other)])
  first.reset()
  second.reset()
  expect(await waiting).toEqual(["served", "served"])
  await givenBack(gateway.pid, idle)
}, 30_000)

test("a tarpit holds a quarter of the connections, of the gateway and of its listener, and closes the rest at once", async () => {
  const tarpit = 'return deny("tarpit", { delay: "10 minutes" })'
  await using gateway = await serve(
    { "all.ts": policy({}, tarpit), "few.ts": policy({ maxConnections: 40 }, tarpit) },
    "--max-connections",
    "400",
  )
  const [all, few] = [await gateway.port("all.ts"), await gateway.port("few.ts")]
  const idle = descriptorsOf(gateway.pid)
  using ofFew = new Crowd(few, 500, { from: ATTACKER })
  await servedDuring(
    few,
    eventually(() => held(ofFew) === 10),
  )
  expect(await askFrom("127.0.0.9", few)).toBe("served")
  using ofAll = new Crowd(all, 2000, { from: ATTACKER })
  await servedDuring(
    all,
    eventually(() => held(ofAll) === 90),
  )
  expect(await askFrom("127.0.0.9", all)).toBe("served")
  const { stdout } = await tidegate(["status", gateway.folder], { env: { XDG_RUNTIME_DIR: RUNTIME } })
  expect(stdout).toContain("connections, 100 of them held, ")
  // Who leaves makes room for another one.
  ofFew.reset()
  await eventually(() => descriptorsOf(gateway.pid) < idle + 400)
  using next = new Crowd(few, 500, { from: ATTACKER })
  await eventually(() => held(next) === 10)
  ofAll.reset()
  next.reset()
  await givenBack(gateway.pid, idle)
  await gateway.until(() => by(gateway, "denied") + by(gateway, "client-reset") === 3000)
}, 30_000)
