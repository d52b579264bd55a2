// Bytes that reach a gateway of this process in pieces, each read on its own.
import type { Connection } from "../../src/connection/connection.ts"
import type { TestGateway } from "./data-path.ts"
import type { Random } from "./random.ts"
import type { Wire } from "./wire.ts"

/** Resolves as soon as the condition holds, which is looked at after every turn of the loop. */
export async function soon(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

/** The gateway's end of a client; `undefined` before it was accepted and once it is over. */
export function liveOf(gate: TestGateway, port: number): Connection | undefined {
  for (const connection of gate.path.live) {
    const { peer, proxied } = connection
    if ((proxied === undefined ? peer : proxied.sender)?.port === port) return connection
  }
  return undefined
}

/** What the gateway has read of a client, a PROXY header included. */
function readOf({ client, proxied }: Connection): number {
  return client.received + (proxied?.header.length ?? 0)
}

/** Sends each piece once the gateway has read the one before; stops when the client is answered. */
export async function sendPieces(gate: TestGateway, client: Wire, pieces: readonly Uint8Array[]): Promise<void> {
  const port = client.socket!.localPort
  const over = () => client.received > 0 || client.ended || client.closed
  let connection: Connection | undefined
  for (const piece of pieces) {
    if (over()) return
    await client.write(piece).catch(() => undefined)
    await soon(
      () => over() || ((connection ??= liveOf(gate, port)) !== undefined && readOf(connection) >= client.written),
    )
  }
}

/** The bytes, cut at these offsets. */
export function cutAt(bytes: Uint8Array, ...offsets: readonly number[]): Uint8Array[] {
  const ends = [...offsets, bytes.length]
  return ends.map((end, i) => bytes.subarray(i === 0 ? 0 : ends[i - 1], end)).filter((piece) => piece.length > 0)
}

/** How bytes may be cut. */
export const CUTS: Readonly<Record<string, (bytes: Uint8Array, random: Random) => Uint8Array[]>> = {
  whole: (bytes) => [bytes],
  "byte by byte": (bytes) => Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)),
  "in random pieces": (bytes, random) => {
    const offsets = Array.from({ length: 1 + random.below(8) }, () => random.below(bytes.length + 1))
    return cutAt(bytes, ...offsets.sort((a, b) => a - b))
  },
}
