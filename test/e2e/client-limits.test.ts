// Limits of clients in a running gateway: over reloads, on listeners, and under floods.
import { connect } from "node:net"
import { expect, setDefaultTimeout, test } from "bun:test"
import { askFrom } from "../helper/ask-from.ts"
import { EchoClient, startEcho } from "../helper/echo.ts"
import { freePort } from "../helper/ports.ts"
import { serve, type Served } from "../helper/serve.ts"
import { memoryOf } from "../helper/vitals.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(120_000)

const limited = (limit: number) => `import { deny, rateLimit, respond } from "tidegate"
export const listen = "tcp://127.0.0.1:0"
const perClient = rateLimit("per-client", { limit: ${limit}, per: "1 hour" })
export const on_tcp_connect = (connection) => perClient.take(connection) ? respond("ok") : deny("slow down")
`

/** What a client hears, one connection after the other. */
async function hears(port: number, times: number, from = "127.0.0.1"): Promise<string[]> {
  const heard: string[] = []
  for (let i = 0; i < times; i++) heard.push(await askFrom(from, port))
  return heard
}

/** Saves a file and waits until it decides. */
async function save(gateway: Served, file: string, text: string): Promise<void> {
  const before = gateway.log.length
  gateway.write(file, text)
  await gateway.until(() => gateway.log.slice(before).some(({ message }) => message.includes(`now asks ${file}`)))
}

test("what a policy's limit has counted outlives saving the file, and new options count from there", async () => {
  await using gateway = await serve({ "p.ts": limited(2) })
  const port = await gateway.port("p.ts")
  expect(await hears(port, 3)).toEqual(["ok", "ok", ""])
  await save(gateway, "p.ts", `${limited(2)}// saved again\n`)
  expect(await hears(port, 1)).toEqual([""])
  expect(await hears(port, 1, "127.0.0.2")).toEqual(["ok"])
  await save(gateway, "p.ts", limited(4))
  expect(await hears(port, 3)).toEqual(["ok", "ok", ""])
  await gateway.until(() => gateway.events.length === 8)
  const denied = gateway.events.filter(({ close }) => close.reason === "denied")
  expect(denied.map(({ policy }) => policy?.reason)).toEqual(["slow down", "slow down", "slow down"])
})

test("a file with another limit of the same name is reported, and the first goes on", async () => {
  await using gateway = await serve({ "p.ts": limited(1) })
  const port = await gateway.port("p.ts")
  expect(await hears(port, 2)).toEqual(["ok", ""])
  gateway.write("q.ts", limited(100))
  const { message } = (await gateway.until(() => gateway.log.find(({ level }) => level === "error")))!
  expect(message).toContain(
    'q.ts:3:19 rateLimit "per-client": limit is 100 in q.ts and 1 in p.ts; a name has one limit',
  )
  expect(await hears(port, 1)).toEqual([""])
})

test("limits of a listener need no code, count both families of a dual-stack listener, and outlive reloads", async () => {
  const port = freePort()
  const policy = (limit: number) => `import { respond } from "tidegate"
export const listen = { url: "tcp://:${port}", rateLimit: { limit: ${limit}, per: "1 hour" } }
export const on_tcp_connect = () => respond("ok")
`
  await using gateway = await serve({ "p.ts": policy(1) })
  const overV6 = () => textFrom("::1", port)
  expect([await overV6(), await overV6()]).toEqual(["ok", ""])
  expect(await hears(port, 2)).toEqual(["ok", ""])
  await save(gateway, "p.ts", policy(2))
  expect([await overV6(), await overV6()]).toEqual(["ok", ""])
  await gateway.until(() => gateway.events.length === 3)
})

async function textFrom(host: string, port: number): Promise<string> {
  const { promise, reject, resolve } = Promise.withResolvers<string>()
  let text = ""
  const socket = connect({ host, port })
  socket.on("data", (chunk) => (text += String(chunk)))
  socket.on("error", reject)
  socket.on("close", () => resolve(text))
  return promise
}

/** Connects and leaves, so many times, so many at once. */
async function flood(port: number, connections: number, atOnce: number): Promise<void> {
  let left = connections
  const one = () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const done = () => resolve()
    Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void socket.end(),
        data: () => undefined,
        close: done,
        error: done,
        connectError: done,
      },
    }).catch(done)
    return promise
  }
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (left-- > 0) await one()
    }),
  )
}

test("20,000 connects from one address: the gateway stays as it is, and another client does not notice", async () => {
  await using echo = await startEcho()
  await using gateway = await serve({
    "p.ts": `import { route } from "tidegate"
export const listen = {
  url: "tcp://127.0.0.1:0",
  rateLimit: { limit: 100, per: "1 minute" },
  concurrencyLimit: { max: 10 },
}
export const on_tcp_connect = () => route("tcp://127.0.0.1:${echo.port}")
`,
  })
  const port = await gateway.port("p.ts")
  const hello = new TextEncoder().encode("hello")
  const standing = await EchoClient.connect(port)
  await standing.echo(hello)
  // So that what one flood needs once is there.
  await flood(port, 2000, 50)
  const before = memoryOf(gateway.pid)
  const over = new AbortController()
  const flooded = flood(port, 20_000, 50).finally(() => over.abort())
  let fresh = 0
  while (!over.signal.aborted) {
    await standing.echo(hello)
    // Another address has tokens of its own.
    if (fresh < 90) {
      expect(await echoed("127.0.0.2", port)).toBe("hello")
      fresh++
    }
  }
  await flooded
  expect(fresh).toBeGreaterThan(5)
  expect(memoryOf(gateway.pid) - before).toBeLessThan(32_000_000)
  // The flood got in a hundred times; everybody else did each time.
  expect(gateway.events.length).toBeLessThan(250)
  standing.end()
})

/** What a client at this address gets back that says hello, and its FIN. */
async function echoed(localAddress: string, port: number): Promise<string> {
  const { promise, reject, resolve } = Promise.withResolvers<string>()
  let text = ""
  const socket = connect({ host: "127.0.0.1", port, localAddress })
  socket.on("data", (chunk) => (text += String(chunk)))
  socket.on("error", reject)
  socket.on("close", () => resolve(text))
  socket.end("hello")
  return promise
}
