// A client that has reset before it is accepted has no address any more: no policy is asked about it, nobody is dialled.
import { expect, test } from "bun:test"
import { serve } from "../helper/serve.ts"
import { installed } from "../helper/servers.ts"

const script = `import socket, struct, sys
for _ in range(300):
    c = socket.socket(); c.connect(("127.0.0.1", int(sys.argv[1])))
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); c.close()
c = socket.socket(); c.connect(("127.0.0.1", int(sys.argv[1]))); c.recv(1)`

test.skipIf(!installed("python3"))("a client that resets before it is accepted gets past no address rule", async () => {
  let dialled = 0
  using upstream = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { open: () => void dialled++, data: () => undefined },
  })
  await using gateway = await serve({
    "app.ts": `import { deny, route } from "tidegate"
export const listen = "tcp://127.0.0.1:0"
export const on_tcp_connect = (c) => c.client.within("127.0.0.0/8") ? deny("blocked") : route("tcp://127.0.0.1:${upstream.port}")
`,
  })
  const port = String(await gateway.port("app.ts"))
  const child = Bun.spawn(["python3", "-c", script, port])
  expect(await child.exited).toBe(0)
  await gateway.until(() => gateway.events.some((event) => event.close.reason === "denied"))
  expect(dialled).toBe(0)
  expect(gateway.events.filter((event) => event.policy?.decision === "route")).toEqual([])
})
