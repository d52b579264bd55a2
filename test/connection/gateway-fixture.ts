// A gateway in a process of its own, so that its memory can be measured alone, or its descriptors given. Routes
// everything to the target in the arguments, prints its port, then answers every line on stdin with its state.
import { route } from "../../src/policy/decision.ts"
import { gateway } from "../helper/data-path.ts"

const [target, listen = "tcp://127.0.0.1:0"] = process.argv.slice(2)
const gate = gateway([{ listen, on_tcp_connect: () => route(target!) }])
console.log(gate.port)
for await (const _ of console) {
  Bun.gc(true)
  const connections = [...gate.path.live]
  console.log(
    JSON.stringify({
      rss: process.memoryUsage.rss(),
      connected: connections.filter((connection) => connection.upstream !== undefined).length,
      stalled: connections.filter((connection) => connection.upstream?.paused === true).length,
    }),
  )
}
process.exit(0)
