// Clients that talk to an echo server, and that server in its own process.
import { join } from "node:path"

export interface EchoServer extends AsyncDisposable {
  readonly port: number
}

export async function startEcho(): Promise<EchoServer> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "echo-fixture.ts")], { stdout: "pipe" })
  const first = await child.stdout.getReader().read()
  return {
    port: Number(new TextDecoder().decode(first.value)),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL")
      await child.exited
    },
  }
}

/** One connection that sends and awaits its echo, again and again. */
export class EchoClient {
  private readonly socket: Bun.Socket<undefined>
  private awaited = 0
  private done = Promise.withResolvers<void>()
  closed = false

  private constructor(socket: Bun.Socket<undefined>) {
    this.socket = socket
  }

  static async connect(port: number): Promise<EchoClient> {
    let client: EchoClient | undefined = undefined
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_, chunk) => client?.got(chunk.length),
        close: () => client?.lost(),
        error: () => client?.lost(),
      },
    })
    client = new EchoClient(socket)
    return client
  }

  /** Sends `bytes` and resolves when as many came back; rejects when the connection ends. */
  async echo(bytes: Uint8Array): Promise<void> {
    if (this.closed) throw new Error("the connection has ended")
    this.done = Promise.withResolvers()
    this.awaited = bytes.length
    const written = this.socket.write(bytes)
    if (written !== bytes.length) throw new Error(`only ${written} bytes were taken`)
    await this.done.promise
  }

  /** Resolves when the echo came, so that a caller can wait for several at once. */
  end(): void {
    this.closed = true
    this.socket.end()
  }

  private got(bytes: number): void {
    this.awaited -= bytes
    if (this.awaited <= 0) this.done.resolve()
  }

  private lost(): void {
    if (this.closed) return
    this.closed = true
    this.done.promise.catch(() => undefined)
    this.done.reject(new Error("the connection was cut"))
  }
}
