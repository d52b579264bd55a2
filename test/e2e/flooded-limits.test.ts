// Floods of what is counted or queued: keys that a load balancer claims, and connections that wait for a place.
import { expect, test } from "bun:test"
import { askFrom } from "../helper/ask-from.ts"
import { Crowd } from "../helper/crowd.ts"
import { eventually } from "../helper/eventually.ts"
import { servedDuring } from "../helper/onlooker.ts"
import { binary } from "../helper/proxy.ts"
import { serve } from "../helper/serve.ts"
import { echo, upstream } from "../helper/upstream.ts"
import { descriptorsOf, forgetPeak, givenBack, memoryOf, peakOf } from "../helper/vitals.ts"

const other = `import { respond } from "tidegate"
export const listen = "tcp://127.0.0.1:0"
export const on_tcp_connect = () => respond("served")
`
const SENDER = "127.0.1.1"
/** Where a header of version 2 has the client's address. */
const SOURCE = 16

/** A header for a client of the nth /64 of 2001:db8::/32. */
function claims(nth: number, host: number): Uint8Array {
  const header = binary({}, "[2001:db8::1]:1000", "[2001:db8::2]:2000")
  new DataView(header.buffer, header.byteOffset).setUint32(SOURCE + 4, nth)
  header[SOURCE + 15] = host
  return header
}

test("10,000 networks that a trusted sender claims are counted apart, and take little memory", async () => {
  const networks = 10_000
  const atOnce = 200
  const listen = {
    url: "tcp://127.0.0.1:0",
    proxyProtocol: { from: [`${SENDER}/32`], mode: "required" },
    rateLimit: { limit: 1, per: "1 hour" },
  }
  await using gateway = await serve({
    "p.ts": other.replace('"tcp://127.0.0.1:0"', JSON.stringify(listen)),
    "other.ts": other,
  })
  const [port, asked] = [await gateway.port("p.ts"), await gateway.port("other.ts")]
  await askFrom("127.0.0.9", asked)
  const [idle, memory] = [descriptorsOf(gateway.pid), memoryOf(gateway.pid)]
  forgetPeak(gateway.pid)
  const claim = async (from: number, host: number) => {
    using crowd = await Crowd.connect(port, atOnce, { from: SENDER })
    for (let i = 0; i < atOnce; i++) crowd.sendAs(i, claims(from + i, host))
    await eventually(() => crowd.over === atOnce)
    return crowd.read()
  }
  const flood = async () => {
    for (let nth = 0; nth < networks; nth += atOnce) expect(await claim(nth, 1)).toBe(atOnce * "served".length)
  }
  expect(await servedDuring(asked, flood())).toBeGreaterThan(0)
  // Another host of a network is the same client; one of another network is none of them.
  expect(await claim(0, 2)).toBe(0)
  expect(await claim(networks, 1)).toBe(atOnce * "served".length)
  const count = (reason: string) => gateway.events.filter(({ close }) => close.reason === reason).length
  await gateway.until(() => count("limit-reached") === atOnce)
  await givenBack(gateway.pid, idle)
  expect(peakOf(gateway.pid) - memory).toBeLessThan(100e6)
}, 30_000)

test("of 1,000 connections to a full pool as many wait as the queue holds, the rest is told at once, and all get on in turn", async () => {
  using up = upstream(echo)
  await using gateway = await serve({
    "p.ts": `import { deny, route } from "tidegate"
export const listen = "tcp://127.0.0.1:0"
export const pools = {
  db: { targets: ["${up.url}"], maxConnections: 10, queue: { size: 50, timeout: "1 minute" } },
}
export const on_tcp_connect = () => route("db")
`,
    "other.ts": other,
  })
  const [port, asked] = [await gateway.port("p.ts"), await gateway.port("other.ts")]
  const idle = descriptorsOf(gateway.pid)
  using crowd = new Crowd(port, 1000, { from: "127.0.1.1" })
  await servedDuring(
    asked,
    eventually(() => crowd.over === 940),
  )
  expect(await askFrom("127.0.0.9", asked)).toBe("served")
  const count = (reason: string) => gateway.events.filter(({ close }) => close.reason === reason).length
  crowd.resetTold()
  await gateway.until(() => count("no-target") === 940)
  expect(up.accepted.length).toBe(10)
  // Whoever has been answered leaves, which makes room for the next.
  crowd.send(Buffer.from("x"))
  await eventually(() => {
    crowd.resetTold()
    return crowd.left === crowd.size
  })
  expect(up.accepted.length).toBe(60)
  crowd.reset()
  await givenBack(gateway.pid, idle)
}, 30_000)
