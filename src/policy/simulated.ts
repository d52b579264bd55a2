// A connection made from facts, for tests and `tidegate explain`. Nothing is opened and nothing ever waits:
// what the client would still have to send never comes.
import { formatIp, parseIp, type Ip } from "./address.ts"
import { inlineCidrs, type CidrSet } from "./cidr.ts"
import type { Client, Connection, Endpoint, PeekOptions } from "./connection.ts"
import { milliseconds } from "./duration.ts"
import { identity, parseListen, type ListenEntry } from "./listen.ts"
import { LogFields } from "./log-fields.ts"
import { peekSize, PREREAD_DEADLINE, PrereadTimeout } from "./preread.ts"
import { didYouMean } from "./suggest.ts"
import { parsePort, splitHostPort } from "./target.ts"

/** A TLS hello, for policies that will look at one; this version shows policies no `connection.tls`. */
export interface HelloFacts {
  readonly sni?: string
  readonly alpn?: readonly string[]
}

/** Who connects where, and what the client has sent. */
export interface Facts {
  /** The client: `"203.0.113.9"`, `"203.0.113.9:4711"` or `"[2001:db8::1]:4711"`. Left out on a `unix:` listener. */
  readonly from?: string
  /** The listener that it connects to: `"tcp://:5432"`, `"tcp://127.0.0.1:5432"` or `"unix:/run/x.sock"`. */
  readonly to: string
  readonly tls?: HelloFacts
  /** What the client has sent before it waits for an answer. @default nothing */
  readonly bytes?: string | Uint8Array
  /** Whether the client has sent its FIN after `bytes`: then `peek` gives fewer. @default false */
  readonly closed?: boolean
  /** When it connects. @default now */
  readonly at?: Date
}

/** Thrown for facts that make no connection; the message names the fact. */
export class FactsInvalid extends Error {
  override readonly name = "FactsInvalid"
}

/** A simulated connection and the strings that its policies pull. */
export interface Simulated {
  readonly connection: Connection
  readonly log: LogFields
  /** Aborts `connection.signal`. */
  readonly abort: (reason: unknown) => void
}

/** A client port where the facts name none: the first of the ephemeral range of RFC 6335. */
const CLIENT_PORT = 49_152
const FACTS = ["from", "to", "tls", "bytes", "closed", "at"] as const

let count = 0

/**
 * Makes a connection from facts.
 * @param met the listener that serves `facts.to`, where it is known: its address may be a wildcard
 * @throws FactsInvalid
 */
export function simulate(facts: Facts, met?: Connection["listener"]): Simulated {
  for (const name of Object.keys(facts)) {
    if (!(FACTS as readonly string[]).includes(name))
      throw new FactsInvalid(`there is no fact ${JSON.stringify(name)}${didYouMean(name, FACTS)}`)
  }
  const at = facts.at ?? new Date()
  if (!(at instanceof Date) || Number.isNaN(at.getTime())) throw new FactsInvalid("at: expected a valid Date")
  const sent = bytesOf(facts.bytes)
  const listener = listenerOf(facts.to)
  const from = listener.bind.kind === "unix" ? undefined : clientOf(facts.from)
  const controller = new AbortController()
  const log = new LogFields()
  const connection = new SimulatedConnection(
    {
      client: client(from),
      server:
        listener.bind.kind === "unix"
          ? { address: undefined, port: undefined }
          : { address: serverAddress(listener.bind.address, from!.ip), port: listener.bind.port },
      listener: met ?? { name: identity(listener.bind, "").replace(/^tcp:/, ""), url: listener.url },
      openedAt: at,
      signal: controller.signal,
    },
    { bytes: sent, closed: facts.closed === true },
    log,
  )
  return { connection, log, abort: (reason) => controller.abort(reason) }
}

/** A class, as the data path's is: what a policy takes off its connection fails in a test too. */
class SimulatedConnection implements Connection {
  readonly id = `simulated-${++count}`
  readonly client: Client
  readonly server: Endpoint
  readonly listener: Connection["listener"]
  readonly openedAt: Date
  readonly vars = new Map<string, unknown>()
  readonly signal: AbortSignal
  readonly dryRun = true
  readonly #sent: { readonly bytes: Uint8Array; readonly closed: boolean }
  readonly #log: LogFields

  constructor(
    known: Pick<Connection, "client" | "server" | "listener" | "openedAt" | "signal">,
    sent: { readonly bytes: Uint8Array; readonly closed: boolean },
    log: LogFields,
  ) {
    this.client = known.client
    this.server = known.server
    this.listener = known.listener
    this.openedAt = known.openedAt
    this.signal = known.signal
    this.#sent = sent
    this.#log = log
  }

  async peek(n: number, options: PeekOptions = {}): Promise<Uint8Array> {
    const { bytes, closed } = this.#sent
    const size = peekSize(n)
    const within = options.within === undefined ? PREREAD_DEADLINE : milliseconds(options.within, "peek: within")
    // A copy: what a policy does to its bytes is not what the upstream gets.
    if (bytes.length >= size || closed) return bytes.slice()
    throw new PrereadTimeout(`the client sent ${bytes.length} of ${size} bytes within ${within} ms`)
  }

  log(fields: Record<string, unknown>): void {
    this.#log.add(fields)
  }
}

function bytesOf(bytes: unknown): Uint8Array {
  if (bytes === undefined) return new Uint8Array()
  if (typeof bytes === "string") return new TextEncoder().encode(bytes)
  if (bytes instanceof Uint8Array) return bytes.slice()
  throw new FactsInvalid("bytes: expected a text or a Uint8Array")
}

/** The one listener that a URL names; `localhost` is its IPv4 address. @throws FactsInvalid */
export function listenerOf(to: unknown): ListenEntry {
  if (typeof to !== "string")
    throw new FactsInvalid('to: expected the listener, like "tcp://:5432" or "unix:/run/x.sock"')
  let entries: readonly ListenEntry[]
  try {
    entries = parseListen(to)
  } catch (cause) {
    throw new FactsInvalid(`to: ${cause instanceof Error ? cause.message.replace(/^listen /, "") : to}`, { cause })
  }
  const entry = entries[0]!
  if (entry.bind.kind === "tcp" && (entry.bind.port === 0 || entries.some((e) => portOf(e) !== portOf(entry))))
    throw new FactsInvalid(`to: ${JSON.stringify(to)}: expected one port from 1 to 65535`)
  return entry
}

function portOf(entry: ListenEntry): number | undefined {
  return entry.bind.kind === "tcp" ? entry.bind.port : undefined
}

function clientOf(from: unknown): { ip: Ip; port: number } {
  const expected = 'expected the client\'s address, like "203.0.113.9", "203.0.113.9:4711" or "[2001:db8::1]:4711"'
  if (typeof from !== "string") throw new FactsInvalid(`from: ${expected}`)
  const bare = parseIp(from)
  if (bare !== undefined) return { ip: bare, port: CLIENT_PORT }
  const split = splitHostPort(from)
  const ip = split === undefined ? undefined : parseIp(split.host)
  const port = split === undefined ? undefined : split.port === "" ? CLIENT_PORT : parsePort(split.port)
  if (ip === undefined || port === undefined || port === 0)
    throw new FactsInvalid(`from: ${JSON.stringify(from)}: ${expected}`)
  return { ip, port }
}

function client(from: { ip: Ip; port: number } | undefined): Client {
  if (from === undefined) return { address: undefined, port: undefined, family: "unix", within: () => false }
  const within = (...ranges: readonly (string | CidrSet)[]) =>
    ranges.some((range) => (typeof range === "string" ? inlineCidrs([range]) : range).contains(from.ip))
  return { address: formatIp(from.ip), port: from.port, family: from.ip.family, within }
}

/** On a wildcard the client reached some address of this machine: the loopback of its family stands for it. */
function serverAddress(bound: string, client: Ip): string {
  if (bound !== "*" && bound !== "0.0.0.0" && bound !== "::") return bound
  return client.family === "IPv4" ? "127.0.0.1" : "::1"
}
