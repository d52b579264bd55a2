// `respond`: a policy's own answer, written completely and with backpressure, then FIN and the linger.
import type { Respond } from "../policy/decision.ts"
import { describe } from "../policy/decision.ts"
import { readable } from "../policy/thrown.ts"
import { State, type Connection } from "./connection.ts"
import { hold, linger } from "./ending.ts"
import { IDLE_TIMEOUT } from "./relay.ts"
import { giveBack } from "./side.ts"

const encoder = new TextEncoder()

/** 256 Ki characters: longer texts are encoded in pieces of 64 Ki, so that a client that reads slowly holds no more. */
const LONG = 262_144
const PIECE = 65_536

/** The last text and its bytes: clients that get the same answer share one copy of it, however slowly they read. */
let last: { readonly text: string; readonly bytes: Uint8Array } | undefined

function encoded(text: string): Uint8Array {
  if (last?.text !== text) last = { text, bytes: encoder.encode(text) }
  return last.bytes
}

/** Carries out a `respond`, after its delay. */
export function answer(connection: Connection, decision: Respond): void {
  hold(connection, decision.delay ?? 0, () => startAnswer(connection, decision))
}

function startAnswer(connection: Connection, decision: Respond): void {
  const { client, path } = connection
  connection.state = State.answering
  connection.preread?.drain()
  connection.discarded = 0
  connection.activeAt = path.wheel.now
  connection.idle = path.wheel.ticks(IDLE_TIMEOUT)
  connection.until = Number.POSITIVE_INFINITY
  connection.schedule(IDLE_TIMEOUT)
  client.resume()
  const { body } = decision
  if (typeof body === "string" && body.length > LONG) void writeParts(connection, pieces(body))
  else if (typeof body === "string" || body instanceof Uint8Array) {
    client.send(typeof body === "string" ? encoded(body) : body)
    if (client.queued === 0) answered(connection)
  } else void writeParts(connection, body)
}

function* pieces(text: string): Generator<string> {
  for (let at = 0; at < text.length;) {
    // Both halves of a character that has two stay together.
    const end = at + PIECE + (isHighHalf(text.charCodeAt(at + PIECE - 1)) ? 1 : 0)
    yield text.slice(at, end)
    at = end
  }
}

function isHighHalf(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff
}

/** The client takes bytes again. */
export function continueAnswer(connection: Connection): void {
  const { client, path } = connection
  const before = client.written
  const empty = client.flush()
  if (client.written > before) connection.activeAt = path.wheel.now
  if (!empty) return
  if (connection.stopBody === undefined) answered(connection)
  else roomFor.get(connection)?.()
}

function answered(connection: Connection): void {
  connection.closeReason = "answered"
  connection.closedBy = "gateway"
  linger(connection)
}

/** What an iterated body waits on: room in the socket. */
const roomFor = new WeakMap<Connection, () => void>()

async function writeParts(connection: Connection, body: Exclude<Respond["body"], string | Uint8Array>): Promise<void> {
  try {
    const parts = Symbol.asyncIterator in body ? body[Symbol.asyncIterator]() : body[Symbol.iterator]()
    connection.stopBody = () => {
      connection.stopBody = undefined
      roomFor.get(connection)?.()
      void stop(parts).catch((error) => failed(connection, error))
    }
    for (;;) {
      const part = await parts.next()
      if (connection.state !== State.answering) return
      if (part.done === true) break
      const bytes = bytesOf(part.value)
      connection.client.send(bytes)
      connection.activeAt = connection.path.wheel.now
      if (connection.client.queued > 0) await room(connection)
      if (connection.state !== State.answering) return
      // Made here, and written: the memory is for the next one.
      if (typeof part.value === "string") giveBack(bytes)
    }
    connection.stopBody = undefined
    answered(connection)
  } catch (error) {
    if (connection.state !== State.answering) return
    connection.stopBody = undefined
    failed(connection, error)
    // RST: the client must not take what it got for the whole answer.
    connection.abort("policy-failed", "gateway")
  }
}

/** A generator that waits for something of its own ends when that comes; nobody waits for it here. */
async function stop(parts: AsyncIterator<unknown> | Iterator<unknown>): Promise<void> {
  await parts.return?.()
}

function room(connection: Connection): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  roomFor.set(connection, resolve)
  return promise
}

function bytesOf(part: unknown): Uint8Array {
  if (typeof part === "string") return encoder.encode(part)
  if (part instanceof Uint8Array) return part
  throw new TypeError(`respond: a part of the body is a text or bytes, found ${describe(part)}`)
}

function failed(connection: Connection, error: unknown): void {
  if (connection.policy === undefined) return connection.path.exits.internalError(error)
  connection.reason = readable(error).message
  connection.path.exits.policyFailed(connection.policy, error)
}
