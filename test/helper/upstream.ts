// Servers for a gateway to dial: each connection is given to a function over the same promise API as clients have.
import { unsent } from "../../src/native/socket.ts"
import { eventually } from "./eventually.ts"
import { Wire, type WireOptions } from "./wire.ts"

export interface Upstream extends Disposable {
  /** As a target: `tcp://127.0.0.1:port` or `unix:/path`. */
  readonly url: string
  readonly port: number
  /** Connections accepted so far. */
  readonly accepted: Wire[]
  /** What the serving function threw, in order. */
  readonly problems: unknown[]
  /** The n-th connection (from 0), once it is there. */
  connection(n?: number): Promise<Wire>
}

export type Serve = (wire: Wire, nth: number) => unknown

/** Starts a server on port 0 of an address, or on a unix path. */
export function upstream(
  serve: Serve = echo,
  at: { hostname: string; port?: number } | { unix: string } = { hostname: "127.0.0.1" },
  options: WireOptions = {},
): Upstream {
  const accepted: Wire[] = []
  const problems: unknown[] = []
  const waiting: (() => void)[] = []
  const { open, ...handlers } = Wire.handlers
  const server = Bun.listen<Wire>({
    port: 0,
    ...at,
    allowHalfOpen: true,
    socket: {
      ...handlers,
      open(socket: Bun.Socket<Wire>) {
        const wire = new Wire(options)
        socket.data = wire
        open!(socket)
        accepted.push(wire)
        for (const resolve of waiting.splice(0)) resolve()
        void (async () => serve(wire, accepted.length - 1))().catch((error) => problems.push(error))
      },
    },
  } as unknown as Bun.TCPSocketListenOptions<Wire>)
  return {
    url:
      "unix" in at
        ? `unix:${at.unix}`
        : `tcp://${at.hostname.includes(":") ? `[${at.hostname}]` : at.hostname}:${server.port}`,
    port: server.port,
    accepted,
    problems,
    async connection(n = 0) {
      while (accepted[n] === undefined) await new Promise<void>((resolve) => waiting.push(resolve))
      return accepted[n]
    },
    [Symbol.dispose]() {
      server.stop(true)
    },
  }
}

/** Gives back what it reads, then its FIN after the client's. */
export async function echo(wire: Wire): Promise<void> {
  let pending = Promise.resolve()
  wire.onData = (chunk) => {
    // Nobody is left to echo to.
    pending = pending.then(() => wire.write(chunk)).catch(() => undefined)
  }
  await wire.until(() => wire.ended || wire.closed)
  await pending
  if (!wire.closed) wire.end()
}

/** Reads to the client's FIN, then answers and closes. */
export function answers(answer: (request: Uint8Array) => string | Uint8Array): Serve {
  return async (wire) => {
    await wire.write(answer(await wire.bytes()))
    wire.end()
  }
}

/** Reads nothing, says nothing. */
export function stalls(wire: Wire): void {
  wire.pause()
}

/** Waits until the other kernel has everything, then resets. */
export async function resetDelivered(wire: Wire): Promise<void> {
  await eventually(() => unsent(wire.fd) === 0)
  wire.reset()
}
