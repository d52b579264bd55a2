// A cable between a client and a server that a test can cut: it passes bytes on as they are, so that either end's FIN or
// reset can come where TLS would not have one.
import { upstream } from "./upstream.ts"
import { connect, type Wire } from "./wire.ts"

export interface Strand {
  /** The end that the client holds. */
  readonly client: Wire
  /** The end that the server holds. */
  readonly server: Wire
}

export interface Cable extends Disposable {
  readonly port: number
  /** The n-th connection (from 0), once both ends are there. */
  strand(n?: number): Promise<Strand>
}

/** What is passed on of a chunk, and when. `before` bytes came before it. */
export type Change = (chunk: Uint8Array, strand: Strand, before: number) => Uint8Array | Promise<Uint8Array>

export interface CableOptions {
  /** What becomes of what the client sends. @default it is passed on */
  readonly forth?: Change
  /** Likewise of what the server sends. */
  readonly back?: Change
}

const whole = (chunk: Uint8Array) => chunk

/** FIN and reset of one end are not passed on: the test says what happens. */
export function cable(port: number, { forth = whole, back = whole }: CableOptions = {}): Cable {
  const strands: Strand[] = []
  const waiting: (() => void)[] = []
  const front = upstream(async (client) => {
    client.onData = () => undefined
    client.pause()
    const server = await connect(port, { paused: true })
    const strand = { client, server }
    pass(client, server, (chunk, before) => forth(chunk, strand, before))
    pass(server, client, (chunk, before) => back(chunk, strand, before))
    strands.push(strand)
    for (const resolve of waiting.splice(0)) resolve()
  })
  return {
    port: front.port,
    async strand(n = 0) {
      while (strands[n] === undefined) await new Promise<void>((resolve) => waiting.push(resolve))
      return strands[n]
    },
    [Symbol.dispose]() {
      for (const { client, server } of strands) {
        client[Symbol.dispose]()
        server[Symbol.dispose]()
      }
      front[Symbol.dispose]()
    },
  }
}

function pass(from: Wire, to: Wire, change: (chunk: Uint8Array, before: number) => ReturnType<Change>): void {
  let pending = Promise.resolve()
  from.onData = (chunk) => {
    const changed = change(chunk, from.received - chunk.length)
    // Nobody is left to write to.
    pending = pending.then(async () => to.write(await changed)).catch(() => undefined)
  }
  from.resume()
}
