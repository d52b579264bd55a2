// Clients that do not read what they asked for, or slowly, by the hundred: what each of them holds is bounded.
import { expect, test } from "bun:test"
import { askFrom } from "../helper/ask-from.ts"
import { Crowd } from "../helper/crowd.ts"
import { eventually } from "../helper/eventually.ts"
import { servedDuring } from "../helper/onlooker.ts"
import { serve } from "../helper/serve.ts"
import { upstream, type Upstream } from "../helper/upstream.ts"
import { descriptorsOf, forgetPeak, givenBack, memoryOf, peakOf } from "../helper/vitals.ts"

/** A chunk of Bun's at most, and what the garbage collector has yet to take. */
const MOST = 1_048_576
/** A small window, so that it is the gateway that has to wait. */
const READER = { from: "127.0.1.1", receive: 4096 }

const routes = (listen: object, url: string) => `import { route } from "tidegate"
export const listen = ${JSON.stringify({ url: "tcp://127.0.0.1:0", ...listen })}
export const on_tcp_connect = () => route("${url}")
`
const other = `import { respond } from "tidegate"
export const listen = "tcp://127.0.0.1:0"
export const on_tcp_connect = () => respond("served")
`
/** One of three bodies in turn. */
const answers = (body: string) => `import { respond } from "tidegate"
export const listen = "tcp://127.0.0.1:0"
const bodies = ["a", "b", "c"].map((text) => ${body})
let nth = 0
export const on_tcp_connect = () => respond(bodies[nth++ % 3])
`

/** Sends as fast as it is read from. */
function source(): Upstream {
  const block = new Uint8Array(new ArrayBuffer(1_048_576))
  return upstream((wire) => wire.pour(block))
}

/** Resolves when nobody has moved a byte while this process looked at it a few times. */
async function stalled(sent: () => number): Promise<void> {
  let before = -1
  let same = 0
  await eventually(() => {
    const now = sent()
    same = now === before ? same + 1 : 0
    before = now
    return same > 50
  })
}

test("200 clients that never read an answer of 10 MB hold little of it, whichever of three it is", async () => {
  const clients = 200
  await using gateway = await serve({
    "text.ts": answers("text.repeat(10_000_000)"),
    "bytes.ts": answers("new TextEncoder().encode(text.repeat(10_000_000))"),
    "other.ts": other,
  })
  const [text, bytes] = [await gateway.port("text.ts"), await gateway.port("bytes.ts")]
  const asked = await gateway.port("other.ts")
  await askFrom("127.0.0.9", asked)
  const [idle, memory] = [descriptorsOf(gateway.pid), memoryOf(gateway.pid)]
  forgetPeak(gateway.pid)
  const crowds = [new Crowd(text, clients, READER), new Crowd(bytes, clients, READER)]
  await servedDuring(
    asked,
    eventually(() => crowds.every(({ size, told }) => told === size)),
  )
  expect(await askFrom("127.0.0.9", asked)).toBe("served")
  for (const crowd of crowds) crowd.reset()
  await givenBack(gateway.pid, idle)
  await gateway.until(
    () => gateway.events.filter(({ close }) => close.reason === "client-reset").length === 2 * clients,
  )
  expect((peakOf(gateway.pid) - memory) / clients / 2).toBeLessThan(MOST)
}, 30_000)

test("100 clients that never read a download hold a chunk each, and what they held is given back when it is reset", async () => {
  const clients = 100
  using up = source()
  await using gateway = await serve({ "p.ts": routes({}, up.url), "other.ts": other })
  const [port, asked] = [await gateway.port("p.ts"), await gateway.port("other.ts")]
  await askFrom("127.0.0.9", asked)
  const idle = descriptorsOf(gateway.pid)
  const memory = memoryOf(gateway.pid)
  using crowd = await Crowd.connect(port, clients, READER)
  await eventually(() => up.accepted.length === clients)
  await servedDuring(
    asked,
    stalled(() => up.accepted.reduce((sum, { written }) => sum + written, 0)),
  )
  expect((memoryOf(gateway.pid) - memory) / clients).toBeLessThan(MOST)
  // What the kernel holds of it comes as well, and has 5 seconds to be read.
  for (const wire of up.accepted) wire.reset()
  expect(
    await servedDuring(
      asked,
      eventually(() => crowd.over === clients),
    ),
  ).toBeGreaterThan(0)
  await gateway.until(() => gateway.events.filter(({ close }) => close.reason === "upstream-reset").length === clients)
  await givenBack(gateway.pid, idle)
  await eventually(() => (memoryOf(gateway.pid) - memory) / clients < MOST / 2)
}, 30_000)

test("200 clients whose bandwidth is limited get their share, and hold no more than others", async () => {
  const clients = 200
  using up = source()
  const limit = { bandwidth: { down: "1 MiB" } }
  await using gateway = await serve({ "p.ts": routes(limit, up.url), "other.ts": other })
  const [port, asked] = [await gateway.port("p.ts"), await gateway.port("other.ts")]
  await askFrom("127.0.0.9", asked)
  const [idle, memory] = [descriptorsOf(gateway.pid), memoryOf(gateway.pid)]
  forgetPeak(gateway.pid)
  using crowd = await Crowd.connect(port, clients, { from: "127.0.1.1" })
  let read = 0
  // More than comes at once, so that it has to be waited for.
  await servedDuring(
    asked,
    eventually(() => (read += crowd.read()) > clients * 2 * 1_048_576),
  )
  expect((peakOf(gateway.pid) - memory) / clients).toBeLessThan(MOST)
  crowd.reset()
  await givenBack(gateway.pid, idle)
}, 30_000)
