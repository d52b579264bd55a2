// The upstream, in its own process: answers small requests, and takes or sends as many bytes as it is asked for.
// Prints the ports of two upstreams, A and B, which differ in the last byte of their answers.
import { answerOf, BLOCK, DONE, parseTransfer } from "./wire.ts"

interface Transfer {
  toSend: number
  toReceive: number
  confirmed: boolean
}
type Socket = Bun.Socket<{ transfer: Transfer | undefined }>

function go(socket: Socket, transfer: Transfer): void {
  while (transfer.toSend > 0) {
    const block = transfer.toSend >= BLOCK.length ? BLOCK : BLOCK.subarray(0, transfer.toSend)
    const taken = socket.write(block)
    if (taken > 0) transfer.toSend -= taken
    if (taken < block.length) return
  }
  if (transfer.toReceive > 0 || transfer.confirmed) return
  transfer.confirmed = socket.write(DONE) === DONE.length
}

function serve(name: "A" | "B"): number {
  const answer = answerOf(name)
  return Bun.listen<{ transfer: Transfer | undefined }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { transfer: undefined }
      },
      data(socket, chunk) {
        const { transfer } = socket.data
        if (transfer !== undefined) {
          transfer.toReceive -= chunk.length
          return go(socket, transfer)
        }
        const asked = parseTransfer(chunk)
        if (asked === undefined) return void socket.write(answer)
        socket.data.transfer = {
          toSend: asked.direction === "up" ? 0 : asked.bytes,
          toReceive: (asked.direction === "down" ? 0 : asked.bytes) - (chunk.length - asked.length),
          confirmed: false,
        }
        go(socket, socket.data.transfer)
      },
      drain(socket) {
        if (socket.data.transfer !== undefined) go(socket, socket.data.transfer)
      },
      error: () => undefined,
    },
  }).port
}

console.log(JSON.stringify({ A: serve("A"), B: serve("B") }))
