// How many connections one process holds, and what happens at the limit.
import { expect, test } from "bun:test"
import { descriptorLimit } from "../../src/native/descriptor-limit.ts"
import { EchoClient, startEcho } from "../helper/echo.ts"
import { serve, start } from "../helper/serve.ts"

const routeTo = (port: number, options = "") => `import { route } from "tidegate"
export const listen = { url: "tcp://127.0.0.1:0"${options} }
export const on_tcp_connect = () => route("tcp://127.0.0.1:${port}")
`

/** Enough for every connection of the test in one of its processes. */
const enough = descriptorLimit() >= 19_900
if (!enough) console.log("skipped: the limit of descriptors is below 20,000")

test.skipIf(!enough)(
  "9,500 proxied connections are open at one time, and each still echoes",
  async () => {
    await using echo = await startEcho()
    await using gateway = await serve({ "many.ts": routeTo(echo.port) })
    const port = await gateway.port("many.ts")
    const clients: EchoClient[] = []
    const hello = new TextEncoder().encode("hello")
    while (clients.length < 9500) {
      const batch = await Promise.all(Array.from({ length: 250 }, () => EchoClient.connect(port)))
      await Promise.all(batch.map((client) => client.echo(hello)))
      clients.push(...batch)
    }
    for (let i = 0; i < clients.length; i += 500)
      await Promise.all(clients.slice(i, i + 500).map((client) => client.echo(hello)))
    expect(clients.filter((client) => client.closed)).toEqual([])
    for (const client of clients) client.end()
    await gateway.until(() => gateway.events.length === 9500)
    expect(
      new Set(gateway.events.map((event) => `${event.close.reason} ${event.conn.bytes_in} ${event.conn.bytes_out}`)),
    ).toEqual(new Set(["client-closed 10 10"]))
  },
  120_000,
)

test("at the cap new clients wait in the backlog, live ones go on, and it recovers by itself", async () => {
  await using echo = await startEcho()
  await using gateway = await serve({ "few.ts": routeTo(echo.port) }, "--max-connections", "100")
  const port = await gateway.port("few.ts")
  const hello = new TextEncoder().encode("hello")
  const served = await Promise.all(Array.from({ length: 100 }, () => EchoClient.connect(port)))
  await Promise.all(served.map((client) => client.echo(hello)))
  // The kernel completes these; the gateway does not take them.
  const waiting = await Promise.all(Array.from({ length: 30 }, () => EchoClient.connect(port)))
  let answered = 0
  const answers = waiting.map((client) => client.echo(hello).then(() => answered++))
  await Promise.all(served.map((client) => client.echo(hello)))
  expect(answered).toBe(0)
  for (const client of served.splice(0, 35)) client.end()
  await Promise.all(answers)
  await Promise.all(served.map((client) => client.echo(hello)))
}, 60_000)

test("maxConnections of a listener holds back its own clients only", async () => {
  await using echo = await startEcho()
  await using gateway = await serve({
    "few.ts": routeTo(echo.port, ", maxConnections: 2"),
    "other.ts": routeTo(echo.port),
  })
  const hello = new TextEncoder().encode("hello")
  const port = await gateway.port("few.ts")
  const served = await Promise.all([EchoClient.connect(port), EchoClient.connect(port)])
  await Promise.all(served.map((client) => client.echo(hello)))
  const waiting = await EchoClient.connect(port)
  let answered = false
  const answer = waiting.echo(hello).then(() => (answered = true))
  const other = await EchoClient.connect(await gateway.port("other.ts"))
  await other.echo(hello)
  expect(answered).toBe(false)
  served[0]!.end()
  await answer
}, 60_000)

test("a cap above what the descriptors allow is an error that says how many it can be", async () => {
  await using gateway = start({ "p.ts": routeTo(1) }, "--max-connections", "10000000")
  expect(await gateway.exited).toBe(2)
  const cap = Math.floor((descriptorLimit() - 256) / 2)
  await gateway.until(() => gateway.log.some((line) => line.message.includes(`at most ${cap}`)))
})
