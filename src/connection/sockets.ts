// The callbacks of all sockets and the deadlines of all connections: each looks at the state and goes to its stage.
// One handler object per kind of socket; `socket.data` is the side that it belongs to.
import { continueAnswer } from "./answer.ts"
import type { Handlers, Socket } from "./bun-socket.ts"
import { State, type Connection } from "./connection.ts"
import { DataPath, type Exits, type Settings } from "./data-path.ts"
import { expireDeciding, goOn } from "./decide.ts"
import { attemptClosed, attemptOpened } from "./dial.ts"
import { expireReading, readOn } from "./hello.ts"
import { expireLinger, letGo, lingered, proceed } from "./ending.ts"
import { clientEnded, expireRelay, relay, relayDrained, sideClosed, upstreamEnded } from "./relay.ts"
import type { Side } from "./side.ts"
import { clientHandshaken } from "./terminate.ts"
import { isSpoofed } from "./proxy-in.ts"
import { tlsError } from "../policy/tls-error.ts"

/** Errors of TLS have OpenSSL's form; the socket closes by itself after them. */
const OF_TLS = /^error:[0-9a-f]{8}:/i

/** A callback threw, which is a bug of ours: nothing on this connection can be trusted any more. */
function broken(side: Side, error: Error): void {
  if (side.closed) return
  const { connection } = side
  if (OF_TLS.test(error.message)) {
    side.broken = true
    if (side === connection.upstream && connection.dial !== undefined)
      connection.dial.error = `TLS: ${tlsError(error).text}`
    return
  }
  connection.path.exits.internalError(error)
  connection.abort("internal-error", "gateway")
}

/** The callbacks of accepted sockets, but for `open`, which the listener brings. */
export const clientHandlers = {
  binaryType: "uint8array",

  data(socket: Socket, chunk: Uint8Array) {
    const side = socket.data
    if (side.closed) return
    const connection = side.connection
    side.received += chunk.length
    connection.activeAt = connection.path.wheel.now
    const { suspect } = connection
    if (suspect !== undefined && isSpoofed(connection, suspect, chunk)) return
    switch (connection.state) {
      case State.relaying:
        return relay(side, chunk)
      case State.deciding:
      case State.dialling:
        return connection.ahead().push(chunk)
      case State.reading:
        connection.ahead().push(chunk)
        return readOn(connection)
      default:
        return lingered(connection, chunk.length)
    }
  },

  drain(socket: Socket) {
    const side = socket.data
    if (side.closed) return
    const connection = side.connection
    if (connection.state === State.answering) continueAnswer(connection)
    else if (side.queued > 0) relayDrained(side)
  },

  end(socket: Socket) {
    const side = socket.data
    if (side.closed) return
    clientEnded(side.connection)
    if (side.connection.state === State.reading) readOn(side.connection)
  },

  close(socket: Socket, error?: Error) {
    sideClosed(socket.data, error)
  },

  error(socket: Socket, error: Error) {
    broken(socket.data, error)
  },
} satisfies Partial<Handlers<Side>>

/** The callbacks of dialled sockets. */
export const upstreamHandlers = {
  binaryType: "uint8array",

  open(socket: Socket) {
    attemptOpened(socket.data, socket)
  },

  data(socket: Socket, chunk: Uint8Array) {
    const side = socket.data
    if (side.closed) return
    const connection = side.connection
    if (connection.upstream !== side) {
      // A server may speak before its socket was reported writable.
      if (connection.dial?.spoke(side, chunk) !== true) return
    }
    if (side.received === 0) connection.dial?.heard()
    side.received += chunk.length
    connection.activeAt = connection.path.wheel.now
    if (connection.state === State.relaying) relay(side, chunk)
  },

  drain(socket: Socket) {
    const side = socket.data
    if (side.closed) return
    const connection = side.connection
    if (connection.upstream !== side) connection.dial?.connected(side)
    else if (side.queued > 0) relayDrained(side)
  },

  end(socket: Socket) {
    const side = socket.data
    if (side.closed) return
    const connection = side.connection
    if (connection.upstream !== side) connection.dial?.ended(side)
    if (connection.upstream === side) upstreamEnded(connection)
  },

  close(socket: Socket, error?: Error) {
    const side = socket.data
    if (side.closed) return
    if (side.connection.upstream === side) sideClosed(side, error)
    else attemptClosed(side, error)
  },

  error(socket: Socket, error: Error) {
    broken(socket.data, error)
  },
} satisfies Handlers<Side>

function opened(socket: Socket): void {
  socket.data.socket = socket
  socket.data.secure = true
}

const tlsClientHandlers: Handlers<Side> = {
  ...clientHandlers,
  open: opened,
  handshake: (socket, ok, error) => clientHandshaken(socket, ok, error),
}

const tlsUpstreamHandlers: Handlers<Side> = {
  ...upstreamHandlers,
  open: opened,
  handshake(socket, ok, error) {
    const side = socket.data
    if (!side.closed) side.connection.dial?.handshaken(side, ok, error)
  },
}

function expire(connection: Connection): void {
  switch (connection.state) {
    case State.reading:
      return expireReading(connection)
    case State.deciding:
      return expireDeciding(connection)
    case State.dialling:
      return connection.dial?.expire()
    case State.delayed:
      return proceed(connection)
    case State.relaying:
    case State.answering:
    case State.resetting:
      return expireRelay(connection)
    case State.lingering:
      return expireLinger(connection)
  }
}

/** A data path with its stages in place. */
export function makeDataPath(settings: Settings, exits: Exits): DataPath {
  return new DataPath(settings, exits, {
    expire,
    upstreamHandlers,
    tlsClientHandlers,
    tlsUpstreamHandlers,
    goOn,
    letGo,
  })
}
