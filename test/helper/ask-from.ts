// A client at an address of its own: all of 127.0.0.0/8 is this machine.
import { connect } from "node:net"

/** What the client is sent until the connection ends. */
export async function askFrom(address: string, port: number): Promise<string> {
  const { promise, reject, resolve } = Promise.withResolvers<string>()
  let answer = ""
  const socket = connect({ host: "127.0.0.1", port, localAddress: address })
  socket.setEncoding("utf8")
  socket.on("data", (text: string) => void (answer += text))
  socket.on("end", () => socket.end())
  socket.on("error", reject)
  socket.on("close", () => resolve(answer))
  return promise
}
