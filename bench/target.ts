// One target of a pool, in its own process: answers a request on one port, and greets whoever comes on another. Told to,
// it goes down, as a crash takes it down, and comes up again.
import { answerOf } from "./wire.ts"

const answer = answerOf("A")
const ports = process.argv.slice(2).map(Number)

function listen(port: number, greets: boolean): Bun.TCPSocketListener<undefined> {
  return Bun.listen<undefined>({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (socket) => void (greets && socket.write(answer)),
      data: (socket) => void (greets || socket.write(answer)),
      error: () => undefined,
    },
  })
}

let listeners: Bun.TCPSocketListener<undefined>[] = []

function come(): void {
  listeners = ports.map((port, i) => listen(port, i === 1))
}

function go(): void {
  for (const listener of listeners) listener.stop(true)
  listeners = []
}

process.on("message", (order: "up" | "down") => (order === "up" ? come() : go()))
process.on("disconnect", () => process.exit(0))
come()
process.send!("ready")
