// Clients whose network goes away: no FIN and no reset tells of it, and each of them is closed when its time is over.
import { afterAll, expect, test } from "bun:test"
import { eventually } from "../helper/eventually.ts"
import { namespace } from "../helper/namespace.ts"
import { servedDuring } from "../helper/onlooker.ts"
import { freePort } from "../helper/ports.ts"
import { serve } from "../helper/serve.ts"
import { upstream } from "../helper/upstream.ts"
import { descriptorsOf, givenBack } from "../helper/vitals.ts"

const network = namespace()
if (network === undefined) console.log("skipped: network namespaces need root and iproute2")
afterAll(() => network?.[Symbol.dispose]())

const CLIENTS = 300

test.skipIf(network === undefined)(
  "clients that vanish are closed in time, whatever they were about",
  async () => {
    const { here, there } = network!
    const block = new Uint8Array(new ArrayBuffer(1_048_576))
    using up = upstream((wire) => wire.pour(block))
    const tls = freePort()
    await using gateway = await serve({
      "hello.ts": `import { deny } from "tidegate"
export const listen = { url: "tls://:${tls}", address: "${here}" }
export const on_tcp_connect = () => deny()
`,
      "denied.ts": `import { deny } from "tidegate"
export const listen = "tcp://${here}:0"
export const on_tcp_connect = () => deny()
`,
      "held.ts": `import { deny } from "tidegate"
export const listen = "tcp://${here}:0"
export const on_tcp_connect = () => deny("tarpit", { delay: "1 second" })
`,
      "download.ts": `import { route } from "tidegate"
export const listen = "tcp://${here}:0"
export const on_tcp_connect = () => route("${up.url}", { idleTimeout: "2 seconds" })
`,
      "other.ts": `import { respond } from "tidegate"
export const listen = "tcp://127.0.0.1:0"
export const on_tcp_connect = () => respond("served")
`,
    })
    const idle = descriptorsOf(gateway.pid)
    const reasons = {
      "preread-timeout": tls,
      denied: await gateway.port("denied.ts"),
      held: await gateway.port("held.ts"),
      "idle-timeout": await gateway.port("download.ts"),
    }
    using clients = network!.run(
      `${import.meta.dir}/crowd-fixture.ts`,
      ...Object.values(reasons).map((port) => `${here} ${port} ${CLIENTS} \x16`),
    )
    expect(await clients.line()).toBe("there")
    await eventually(() => up.accepted.length === CLIENTS)
    network!.cut()
    const all = Object.keys(reasons).length * CLIENTS
    const gone = gateway.until(() => gateway.events.filter(({ conn }) => conn.client_ip === there).length === all)
    expect(await servedDuring(await gateway.port("other.ts"), gone)).toBeGreaterThan(0)
    await givenBack(gateway.pid, idle)
    const counts: Record<string, number> = {}
    for (const { close, conn } of gateway.events) {
      if (conn.client_ip === there) counts[close.reason] = (counts[close.reason] ?? 0) + 1
    }
    expect(counts).toEqual({ "preread-timeout": CLIENTS, denied: 2 * CLIENTS, "idle-timeout": CLIENTS })
  },
  30_000,
)
