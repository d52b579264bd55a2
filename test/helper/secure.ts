// TLS of this process: a server that gives back what it reads, and a client that asks it.
import { connect, type ConnectionOptions } from "node:tls"
import type { Issued } from "./certificates.ts"

export interface SecureServer extends Disposable {
  readonly port: number
  readonly url: string
}

/** Gives back what it reads, over TLS. */
export function secureEcho({ cert, key }: Pick<Issued, "cert" | "key">, alpn?: string): SecureServer {
  // In wire form: Bun takes no other.
  const tls =
    alpn === undefined ? { cert, key } : { cert, key, ALPNProtocols: Buffer.from([alpn.length, ...Buffer.from(alpn)]) }
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    tls,
    socket: {
      data(socket, chunk) {
        socket.write(chunk)
      },
      error: () => undefined,
    },
  })
  return {
    port: server.port,
    url: `tcp://127.0.0.1:${server.port}`,
    [Symbol.dispose]: () => void server.stop(true),
  }
}

/** What came back when the client has `length` characters, or when the server has closed. Rejects with the client's error. */
export async function ask(
  options: ConnectionOptions,
  text: string | Uint8Array,
  length = text.length,
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connect({ host: "127.0.0.1", ...options }, () => socket.write(text))
  let answer = ""
  socket.setEncoding("utf8")
  socket.on("data", (chunk: string) => {
    answer += chunk
    if (answer.length >= length) resolve(answer)
  })
  socket.on("error", reject)
  socket.on("close", () => resolve(answer))
  try {
    return await promise
  } finally {
    socket.destroy()
  }
}
