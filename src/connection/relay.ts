// Bytes both ways, and the endings of both sides: FIN is passed on when everything before it is written, a reset when
// everything before it has left.
import type { CloseReason } from "../policy/connection.ts"
import type { Connection } from "./connection.ts"
import { State } from "./connection.ts"
import { tryNextTarget } from "./dial.ts"
import { releaseHeld } from "./ending.ts"
import type { Side } from "./side.ts"
import { throttleFor, type Throttle } from "./throttle.ts"

/** 5 minutes without a byte in either direction. */
export const IDLE_TIMEOUT = 300_000
/** 5 seconds: how long data may take to leave before a reset follows it. */
const RESET_DEADLINE = 5000
/** 3 s: a server that closes a connection sooner, on which nobody has said anything, is not tired of waiting: it fails. */
const SUDDEN = 3000
/**
 * When the send queue of a side that is about to be reset is looked at: after 10 ms, then after twice as long each time
 * up to 320, because thousands of sides may not be reading at one time.
 */
const RESET_POLL = 10
const LONGEST_RESET_POLL = 320

/** Both sockets stand: what was read ahead goes first, then each side's bytes go to the other. */
export function startRelay(connection: Connection, upstream: Side): void {
  const { client, preread, path, route } = connection
  connection.state = State.relaying
  connection.upstream = upstream
  client.other = upstream
  upstream.other = client
  connection.activeAt = path.wheel.now
  connection.idle = path.wheel.ticks(route?.idleTimeout ?? IDLE_TIMEOUT)
  connection.until =
    route?.maxDuration === undefined ? Number.POSITIVE_INFINITY : maxDurationEnds(connection, route.maxDuration)
  // It may have been relayed to another target before.
  connection.throttle?.release()
  connection.throttle = throttleFor(connection)
  if (preread !== undefined && preread.size > 0) {
    connection.throttle?.passed(client, preread.size)
    for (const chunk of preread.drain()) upstream.send(chunk)
  }
  connection.preread = undefined
  scheduleRelay(connection)
  if (upstream.queued === 0) readFrom(client)
  else client.pause()
  if (client.ended) {
    noteFirstEnd(connection, "client-closed", "client")
    passEnd(client)
  }
}

function maxDurationEnds(connection: Connection, maxDuration: number): number {
  const left = maxDuration - (performance.now() - connection.started)
  return connection.path.wheel.now + connection.path.wheel.ticks(Math.max(0, left))
}

function scheduleRelay(connection: Connection): void {
  const held = connection.throttle?.due ?? Number.POSITIVE_INFINITY
  connection.scheduleAt(Math.min(connection.activeAt + connection.idle, connection.until, held))
}

/** Reads on from a side, unless its bytes are held back. */
function readFrom(side: Side): void {
  if (side.connection.throttle?.holds(side) !== true) side.resume()
}

/**
 * A chunk of one side goes to the other, whose sender is held back until all of it is written: a slow reader costs us
 * one chunk, at most 512 KiB. What the kernel still holds when a paused side is reset comes as one more chunk.
 */
export function relay(from: Side, chunk: Uint8Array): void {
  const to = from.other!
  const { throttle } = from.connection
  if (throttle !== undefined) hold(throttle, from, chunk.length)
  to.send(chunk)
  if (to.queued > 0) from.pause()
}

/** What has come too fast is passed on; the next is waited with. */
function hold(throttle: Throttle, from: Side, bytes: number): void {
  if (!throttle.passed(from, bytes)) return
  from.pause()
  scheduleRelay(from.connection)
}

/** A socket takes bytes again. */
export function relayDrained(side: Side): void {
  const connection = side.connection
  const before = side.written
  const empty = side.flush()
  if (side.written > before) connection.activeAt = connection.path.wheel.now
  if (!empty) return
  if (connection.state === State.relaying) {
    const from = side.other!
    if (from.ended) passEnd(from)
    else readFrom(from)
  } else if (connection.state === State.resetting) resetWhenDelivered(connection)
}

/** Everything from this side has been read and written: the other side gets the FIN. */
function passEnd(from: Side): void {
  const to = from.other!
  if (to.queued > 0) return
  // Both directions are done: closing says as much as another FIN, in fewer calls.
  if (to.ended && from.queued === 0) return done(from.connection)
  to.shutdown()
}

function done(connection: Connection): void {
  connection.finish(connection.closeReason ?? "client-closed", connection.closedBy)
}

/** The client's FIN. It is not leaving: it may wait for its answer. */
export function clientEnded(connection: Connection): void {
  const { client } = connection
  if (client.broken) return
  client.ended = true
  switch (connection.state) {
    case State.relaying:
      noteFirstEnd(connection, "client-closed", "client")
      return passEnd(client)
    case State.deciding:
    case State.dialling:
      return connection.preread?.end()
    case State.delayed:
      return releaseHeld(connection)
    case State.lingering:
      return connection.finish(connection.closeReason!, connection.closedBy)
  }
}

/** The upstream's FIN. */
export function upstreamEnded(connection: Connection): void {
  const upstream = connection.upstream!
  if (upstream.broken) return
  upstream.ended = true
  if (connection.state !== State.relaying) return
  if (unused(connection)) {
    if (performance.now() - connection.connectedAt! < SUDDEN) connection.dial?.wasted()
    if (tryNextTarget(connection, "closed before the first byte")) return
  }
  noteFirstEnd(connection, "upstream-closed", "upstream")
  passEnd(upstream)
}

/** Nothing has gone either way, not even a FIN to the upstream: another target can do as well. */
export function unused(connection: Connection): boolean {
  const { received, written, shut } = connection.upstream!
  return received === 0 && written === 0 && !shut
}

function noteFirstEnd(connection: Connection, reason: CloseReason, by: "client" | "upstream"): void {
  if (connection.closeReason !== undefined) return
  connection.closeReason = reason
  connection.closedBy = by
}

/** A socket is gone: a FIN after ours, a reset, or our own doing. */
export function sideClosed(side: Side, error: Error | undefined): void {
  if (side.closed) return
  const connection = side.connection
  side.closed = true
  if (connection.state === State.closed) return
  const isClient = side === connection.client
  if (connection.state === State.lingering) return connection.finish(connection.closeReason!, connection.closedBy)
  const reset = error !== undefined || side.broken
  if (!reset && connection.state === State.relaying) return endedByClose(connection, side, isClient)
  if (connection.state === State.relaying) {
    if (!isClient && side.received === 0) {
      connection.dial?.wasted()
      if (unused(connection) && tryNextTarget(connection, "reset before the first byte")) return
    }
    return passReset(connection, side, isClient)
  }
  if (connection.state === State.resetting) return connection.finish(connection.closeReason!, connection.closedBy)
  if (connection.termination?.gone() === true) return
  connection.finish(reset ? "client-reset" : "client-closed", "client")
}

/** After our own FIN, the peer's FIN comes as a close. */
function endedByClose(connection: Connection, side: Side, isClient: boolean): void {
  if (!side.ended) {
    side.ended = true
    noteFirstEnd(connection, isClient ? "client-closed" : "upstream-closed", isClient ? "client" : "upstream")
  }
  const other = side.other!
  if (other.queued > 0) return
  if (other.ended || other.closed) return done(connection)
  other.shutdown()
}

/** One side was reset. The other gets everything that was read before, then its reset; what it still sends has nowhere to go. */
function passReset(connection: Connection, side: Side, isClient: boolean): void {
  connection.closeReason = isClient ? "client-reset" : "upstream-reset"
  connection.closedBy = isClient ? "client" : "upstream"
  const other = side.other!
  if (other.closed) return connection.finish(connection.closeReason, connection.closedBy)
  connection.state = State.resetting
  connection.until = connection.path.wheel.now + connection.path.wheel.ticks(RESET_DEADLINE)
  connection.schedule(RESET_DEADLINE)
  connection.view?.closed(connection.closeReason)
  // Its own bytes are dropped, but they are read, so that its FIN or reset is seen.
  other.resume()
  resetWhenDelivered(connection)
}

function resetWhenDelivered(connection: Connection, poll = RESET_POLL): void {
  if (connection.state !== State.resetting) return
  const { client, upstream } = connection
  const other = client.closed ? upstream! : client
  if (other.queued > 0 && !other.closed) return
  if (!other.closed && !other.delivered()) {
    setTimeout(resetWhenDelivered, poll, connection, Math.min(2 * poll, LONGEST_RESET_POLL))
    return
  }
  other.reset()
  connection.finish(connection.closeReason!, connection.closedBy)
}

/** A deadline of a relay, an answer or a reset has come, or only the time to look. */
export function expireRelay(connection: Connection): void {
  const now = connection.path.wheel.now
  if (connection.state === State.resetting) return connection.abort(connection.closeReason!, connection.closedBy)
  if (now >= connection.until) return end(connection, "max-duration")
  // To be held back is not to be idle.
  if (connection.throttle?.letGo(now) === true) connection.activeAt = now
  if (now >= connection.activeAt + connection.idle) return end(connection, "idle-timeout")
  scheduleRelay(connection)
}

/** Our own end of a relay: FIN where both sides have all their bytes, RST where something is cut off. */
function end(connection: Connection, reason: CloseReason): void {
  const cut =
    connection.client.queued > 0 || (connection.upstream?.queued ?? 0) > 0 || connection.state === State.answering
  if (cut) connection.abort(reason, "gateway")
  else connection.finish(reason, "gateway")
}
