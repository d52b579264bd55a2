// Ends that a policy or a failure decided: held back first or not, then FIN or RST, then a bounded linger so that no
// RST eats what the client has yet to read.
import type { CloseReason } from "../policy/connection.ts"
import type { Deny } from "../policy/decision.ts"
import { farewell } from "./farewell.ts"
import { inBand } from "./in-band.ts"
import { State, type ClosedBy, type Connection } from "./connection.ts"
import { count, isTaken } from "./share.ts"

/** A lingering client has 5 s to send something or its FIN. */
const LINGER_SILENCE = 5000
/** 30 s: the longest linger, for clients that keep sending. */
const LINGER_TIME = 30_000
/** 1 s and 3 s: an alert has arrived by then, and half a hello is not to hold a connection for longer than a whole one. */
const STRANGER_SILENCE = 1000
const STRANGER_TIME = 3000
/** 1 MiB: the most that is read only to be thrown away. */
const LINGER_BYTES = 1_048_576

/**
 * Closes a connection that gets no upstream and no answer: what its protocol has for that (an alert, an error), FIN, then
 * the linger.
 */
export function refuse(connection: Connection, reason: CloseReason, by: ClosedBy = "gateway"): void {
  connection.closeReason = reason
  connection.closedBy = by
  // A handshake that is under way ends with its socket: there is nobody to talk to.
  if (connection.termination?.shaking === true) return connection.abort(reason, by)
  const last = farewell(connection, reason)
  if (last !== undefined) connection.client.send(last)
  linger(connection)
}

/** Carries out a `deny`, after its delay. */
export function deny(connection: Connection, decision: Deny): void {
  connection.reason = decision.reason
  connection.closeReason = "denied"
  connection.closedBy = "gateway"
  if (decision.inBand === undefined || isFarewell(connection)) return denyAfter(connection, decision, undefined)
  // It may have been dialling until now.
  connection.state = State.deciding
  const shown = (last: Uint8Array | undefined) => {
    if (connection.state === State.deciding) denyAfter(connection, decision, last)
  }
  void inBand(connection, decision.inBand, decision.reason).then(shown, () => shown(undefined))
}

/** Whether the client is told without being asked what it speaks. */
function isFarewell(connection: Connection): boolean {
  return farewell(connection, "denied") !== undefined
}

function denyAfter(connection: Connection, { delay, reset }: Deny, last: Uint8Array | undefined): void {
  hold(connection, delay ?? 0, () => {
    if (reset === true) return connection.abort("denied", "gateway")
    if (last === undefined) return refuse(connection, "denied")
    connection.client.send(last)
    linger(connection)
  })
}

/** Goes on after a delay; at once when there is none, when the client has sent its FIN, or when too many are held already. */
export function hold(connection: Connection, milliseconds: number, then: () => void): void {
  const { client } = connection
  if (milliseconds === 0 || client.ended || isTaken(connection, "delayed")) return then()
  count(connection, "delayed", 1)
  connection.state = State.delayed
  connection.afterDelay = then
  connection.preread?.drain()
  // A paused socket would not see the FIN that ends the delay.
  client.resume()
  connection.schedule(milliseconds)
}

/** The delay is over. */
export function proceed(connection: Connection): void {
  count(connection, "delayed", -1)
  connection.state = State.deciding
  connection.afterDelay!()
}

/** A held client has sent its FIN: it is closed at once. */
export function releaseHeld(connection: Connection): void {
  connection.finish(
    connection.closeReason ?? "client-closed",
    connection.closeReason === undefined ? "client" : connection.closedBy,
  )
}

/**
 * Sends our FIN and reads on until the client's, within bounds: those of strangers whose first bytes were no good, if
 * nobody has been asked about the connection. Those that linger make room for each other, and for whoever comes.
 */
export function linger(connection: Connection): void {
  const { client, listener, path } = connection
  // Its FIN has been read, so nothing of it is unread: closing sends our FIN and no RST.
  if (client.ended) return connection.finish(connection.closeReason!, connection.closedBy)
  connection.state = State.lingering
  connection.preread?.drain()
  connection.discarded = 0
  connection.activeAt = path.wheel.now
  const silence = connection.asked > 0 ? LINGER_SILENCE : STRANGER_SILENCE
  connection.idle = path.wheel.ticks(silence)
  connection.until = path.wheel.now + path.wheel.ticks(connection.asked > 0 ? LINGER_TIME : STRANGER_TIME)
  connection.schedule(silence)
  client.shutdown()
  client.resume()
  path.lingering.add(connection)
  listener.lingering.add(connection)
  if (path.crowded) {
    if (!path.lingering.letGo(connection)) hurry(connection)
  } else if (listener.crowded && !listener.lingering.letGo(connection)) hurry(connection)
}

/** There is no room, and nobody else to make it: it ends as soon as what it was sent has arrived. */
function hurry(connection: Connection): void {
  const { client, path } = connection
  if (client.delivered()) return connection.finish(connection.closeReason!, connection.closedBy)
  connection.until = path.wheel.now + connection.idle
  lingered(connection, LINGER_BYTES + 1)
}

/** Bytes of a client that nobody reads any more. */
export function lingered(connection: Connection, bytes: number): void {
  connection.discarded += bytes
  if (connection.discarded <= LINGER_BYTES || connection.state === State.resetting) return
  connection.client.pause()
  // Closing over unread bytes is a reset, which must not overtake the answer: see expireLinger.
  if (connection.state === State.lingering) connection.scheduleAt(connection.path.wheel.now + 1)
}

export function expireLinger(connection: Connection): void {
  const { wheel } = connection.path
  const enough = connection.discarded > LINGER_BYTES
  const due = enough ? connection.until : Math.min(connection.activeAt + connection.idle, connection.until)
  if (wheel.now >= due || (enough && connection.client.delivered())) {
    return connection.finish(connection.closeReason!, connection.closedBy)
  }
  connection.scheduleAt(enough ? wheel.now + 1 : due)
}

/** At a shutdown: nobody waits for a tarpit or a linger. */
export function letGo(connection: Connection): void {
  if (connection.state === State.delayed) connection.finish(connection.closeReason ?? "shutdown", "gateway")
  else if (connection.state === State.lingering) connection.finish(connection.closeReason!, connection.closedBy)
}
