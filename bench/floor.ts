// The floor: what a relay costs in plain Bun callbacks, with nothing decided, checked, timed or counted.
// Half-close and backpressure are kept.
// Usage: bun floor.ts ADDRESS FIRST-LAST MODE
//   deny                         closes everybody at once
//   relay UPSTREAM               dials at once
//   hello UPSTREAM               dials when the first bytes are there
//   terminate CERT KEY UPSTREAM  ends TLS, then dials
//   tell CERT KEY                ends TLS, tells a text, and closes
import { readFileSync } from "node:fs"
import { createSecureContext } from "node:tls"
import { OWN_ANSWER } from "./wire.ts"

interface Side {
  socket: Bun.Socket<Side> | undefined
  other: Side | undefined
  /** Not yet taken by the socket. */
  waiting: Uint8Array | undefined
  /** Its FIN has been read. */
  ended: boolean
  /** It is not read from until the other side has taken everything. */
  held: boolean
  gone: boolean
}

/** While the upstream is being dialled the client may send so much before it is held back: holding back costs calls. */
const FREE = 65_536

function send(to: Side, chunk: Uint8Array, from: Side): void {
  if (to.gone) return
  if (to.waiting === undefined && to.socket !== undefined) {
    const taken = to.socket.write(chunk)
    if (taken === chunk.length) return
    to.waiting = taken > 0 ? chunk.subarray(taken) : chunk
    return hold(from)
  }
  to.waiting = to.waiting === undefined ? chunk : Buffer.concat([to.waiting, chunk])
  if (to.waiting.length > FREE) hold(from)
}

function hold(side: Side): void {
  if (side.held) return
  side.held = true
  side.socket?.pause()
}

function flush(to: Side): void {
  const bytes = to.waiting
  if (bytes === undefined) return
  const from = to.other!
  const taken = to.socket!.write(bytes)
  if (taken < bytes.length) {
    if (taken > 0) to.waiting = bytes.subarray(taken)
    return hold(from)
  }
  to.waiting = undefined
  if (from.ended) passEnd(from)
  else if (from.held) {
    from.held = false
    from.socket?.resume()
  }
}

function passEnd(from: Side): void {
  const to = from.other!
  if (to.socket === undefined || to.waiting !== undefined) return
  if (to.ended && from.waiting === undefined) finish(from)
  else to.socket.shutdown()
}

function finish(side: Side): void {
  for (const each of [side, side.other!]) {
    if (each.gone) continue
    each.gone = true
    each.socket?.close()
  }
}

const relay: Bun.SocketHandler<Side, "uint8array"> = {
  binaryType: "uint8array",
  data(socket, chunk) {
    send(socket.data.other!, chunk, socket.data)
  },
  drain(socket) {
    flush(socket.data)
  },
  end(socket) {
    socket.data.ended = true
    passEnd(socket.data)
  },
  close(socket, error) {
    const side = socket.data
    if (side.gone) return
    side.gone = true
    const other = side.other!
    if (other.gone) return
    if (error !== undefined && error !== null) {
      other.gone = true
      other.socket?.terminate()
    } else {
      // Its FIN came after ours.
      side.ended = true
      if (other.waiting !== undefined) return
      if (other.ended) finish(other)
      else other.socket?.shutdown()
    }
  },
  error: () => undefined,
}

const [address, ports, mode, ...rest] = process.argv.slice(2) as [string, string, string, ...string[]]

const upstreamHandlers: Bun.SocketHandler<Side, "uint8array"> = {
  ...relay,
  open(socket) {
    const side = socket.data
    if (side.gone) return void socket.close()
    side.socket = socket
    flush(side)
    if (side.other!.ended) passEnd(side.other!)
  },
  connectError(socket) {
    socket.data.other!.socket?.terminate()
  },
}

const newSide = (): Side => ({
  socket: undefined,
  other: undefined,
  waiting: undefined,
  ended: false,
  held: false,
  gone: false,
})

const to = { hostname: "127.0.0.1", port: Number(rest.at(-1)), socket: upstreamHandlers, allowHalfOpen: true }

function dial(client: Side): void {
  // The types leave out that half-open sockets can be asked for here.
  Bun.connect<Side>({ ...to, data: client.other! } as never).catch(() => undefined)
}

function pair(socket: Bun.Socket<Side>): Side {
  const client = newSide()
  client.other = newSide()
  client.other.other = client
  client.socket = socket
  return client
}

const denying: Bun.SocketHandler<Side, "uint8array"> = {
  open: (socket) => void socket.close(),
  data: () => undefined,
}

const relaying: typeof denying = {
  ...relay,
  open(socket) {
    socket.data = pair(socket)
    dial(socket.data)
  },
}

/** Also begins a relay whose first bytes decide: the upstream is dialled when they are there. */
const reading: typeof denying = {
  ...relay,
  open(socket) {
    socket.data = pair(socket)
  },
  data(socket, chunk) {
    const client = socket.data
    const upstream = client.other!
    if (upstream.socket === undefined && upstream.waiting === undefined) dial(client)
    send(upstream, chunk, client)
  },
}

const ANSWER = new TextEncoder().encode(OWN_ANSWER)

/** TLS is ended after the ClientHello was read, as everybody has to who looks at the name first. */
function ending(decided: (socket: Bun.Socket<Side>) => void): typeof denying {
  const [cert, key] = rest.slice(0, 2).map((file) => readFileSync(file, "utf8")) as [string, string]
  const { context } = createSecureContext({ cert, key })
  const socket: Bun.SocketHandler<Side, "uint8array"> = {
    ...relay,
    handshake: (encrypted, success) => (success ? decided(encrypted) : void encrypted.terminate()),
  }
  return {
    open: () => undefined,
    data(accepted, chunk) {
      // What TLS reads is shown here as well, on a socket object of its own.
      if ((accepted.data as Side | undefined) !== undefined) return
      const options = { isServer: true, initialData: chunk, tls: { secureContext: context }, socket }
      const [raw, encrypted] = accepted.upgradeTLS(options as never) as [Bun.Socket<Side>, Bun.Socket<Side>]
      raw.data = encrypted.data = pair(encrypted)
    },
  }
}

const MODES: Readonly<Record<string, () => typeof denying>> = {
  deny: () => denying,
  relay: () => relaying,
  hello: () => reading,
  terminate: () => ending((socket) => dial(socket.data)),
  tell: () =>
    ending((socket) => {
      socket.write(ANSWER)
      passEnd(socket.data.other!)
    }),
}

const handlers = MODES[mode]!()
const [first, last] = ports.split("-").map(Number) as [number, number]
for (let port = first; port <= last; port++) {
  Bun.listen({ hostname: address, port, socket: handlers, allowHalfOpen: true } as never)
}
// An ordinary exit, so that profilers can write what they have.
process.on("SIGTERM", () => process.exit(0))
