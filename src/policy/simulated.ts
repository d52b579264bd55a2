// A connection made from facts, for tests and `tidegate explain`. Nothing is opened and nothing ever waits:
// what the client would still have to send never comes.
import type { ClientHello, Protocol } from "../protocol/index.ts"
import { formatHostPort, formatIp, type Ip } from "./address.ts"
import { inlineCidrs, type CidrSet } from "./cidr.ts"
import type { Client, Connection, Endpoint, PeekOptions, PostgresStart, ProtocolOptions } from "./connection.ts"
import type { Decision } from "./decision.ts"
import { describe } from "./describe.ts"
import { milliseconds } from "./duration.ts"
import { checkFacts, FactsInvalid, type HelloFacts, type PostgresFacts } from "./first-bytes.ts"
import { NOWHERE, type Geo } from "./geo.ts"
import { ADDRESS, WHEN_CLOSED, WHERE, type Hooks } from "./hooks.ts"
import { identity, parseListen, type ListenEntry, type Scheme } from "./listen.ts"
import { LogFields } from "./log-fields.ts"
import { onlyOption, peekSize, PREREAD_DEADLINE, PrereadTimeout, PROTOCOL_SILENCE } from "./preread.ts"
import { SimulatedClient, type Objection } from "./simulated-client.ts"
import type { ProxyFacts } from "./proxy-facts.ts"
import { addressIn, passedOn, type Passed, type ProxyGiven, type SimulatedAddress } from "./simulated-proxy.ts"
import { checkServes, sentBy, startAt, type Refused } from "./simulated-start.ts"
import { checkTlsFacts, type CertificateFacts, type TerminatedFacts } from "./simulated-tls.ts"
import type { Terminated, TerminateOptions } from "./terminate.ts"

export { FactsInvalid, type HelloFacts, type PostgresFacts } from "./first-bytes.ts"
export type { ProxyGiven } from "./simulated-proxy.ts"
export type { Refused } from "./simulated-start.ts"
export type { CertificateFacts, TerminatedFacts } from "./simulated-tls.ts"

/** Who connects where, and what the client sends. */
export interface Facts {
  /**
   * The client: `"203.0.113.9"`, `"203.0.113.9:4711"` or `"[2001:db8::1]:4711"`. Left out on a `unix:` listener, unless
   * there is a `via`.
   */
  readonly from?: string
  /**
   * The listener that it connects to: `"tcp://:5432"`, `"tcp://127.0.0.1:5432"`, `"unix:/run/x.sock"`; a name in
   * `"tls://db.example.com:443"` or `"postgres://db.example.com:5432"` is the one that the client asks for.
   */
  readonly to: string
  /**
   * The load balancer that passes it on with a PROXY header: `"10.0.0.5"`, `"10.0.0.5:4711"`; `"unix"` on a `unix:`
   * listener.
   */
  readonly via?: string
  /** What that header says. @default version 2, and nothing beside the addresses */
  readonly proxy?: ProxyGiven
  /** The client speaks TLS, with this hello. @default on a `tls://` listener one that asks for the name in `to` */
  readonly tls?: HelloFacts
  /** The client speaks PostgreSQL, and starts like this. */
  readonly postgres?: PostgresFacts
  /** What the client has sent before it waits for an answer, a TLS hello too. @default nothing, or what `tls` and `postgres` say */
  readonly bytes?: string | Uint8Array
  /** What the client sends inside TLS, once that is terminated. @default nothing; the start that `postgres` says */
  readonly plain?: string | Uint8Array
  /** The certificate that the client presents when `terminate` asks for one. @default none */
  readonly clientCertificate?: CertificateFacts
  /** What `terminate` gives, where it is not what the hello and the policy's options agree on. */
  readonly terminated?: TerminatedFacts
  /** Whether the client has sent its FIN after `bytes` and `plain`: then `peek` gives fewer. @default false */
  readonly closed?: boolean
  /** What `geo(connection)` tells. @default what the databases know that `--geoip` names; nothing without them */
  readonly geo?: Partial<Geo>
  /** When it connects. @default now */
  readonly at?: Date
}

/** A simulated connection and the strings that its policies pull. */
export interface Simulated {
  readonly connection: Connection
  readonly log: LogFields
  /** Aborts `connection.signal`. */
  readonly abort: (reason: unknown) => void
  /** Set where the gateway closes the connection without asking anybody. */
  readonly refused: Refused | undefined
  /** What speaks against a decision at this moment, or against that there is none. */
  readonly objection: (decision: Decision | undefined) => Objection | undefined
  /** Whether the client's TLS ends here. */
  readonly isTerminated: () => boolean
  /** Ends the connection, which is open until then. */
  readonly close: () => void
}

/** The listener that a connection meets. */
export type Met = Connection["listener"] & { readonly scheme: Scheme }

const FACTS = [
  "from",
  "to",
  "via",
  "proxy",
  "tls",
  "postgres",
  "bytes",
  "plain",
  "clientCertificate",
  "terminated",
  "closed",
  "geo",
  "at",
] as const
/** What a fact of `geo` is; `undefined` where nothing is known. */
const GEO = { country: "string", continent: "string", city: "string", asn: "number", organisation: "string" } as const

let count = 0
let databases: ((ip: Ip) => Geo) | undefined

/** From now on connections are where these say, unless their facts do. */
export function useDatabases(where: (ip: Ip) => Geo): void {
  databases = where
}

/**
 * Makes a connection from facts.
 * @param met the listener that serves `facts.to`, where it is known: its address may be a wildcard
 * @throws FactsInvalid
 */
export function simulate(facts: Facts, met?: Met): Simulated {
  checkFacts("", facts, FACTS)
  checkTlsFacts(facts.clientCertificate, facts.terminated)
  const where = geoFact(facts.geo)
  const at = facts.at ?? new Date()
  if (!(at instanceof Date) || Number.isNaN(at.getTime())) throw new FactsInvalid("at: expected a valid Date")
  const to = listenerOf(facts.to)
  const sent = sentBy(facts, to)
  const scheme = met?.scheme ?? to.scheme
  const start = startAt(scheme, sent)
  if (start.refused === undefined && scheme !== "tcp") checkServes(to, start)
  const onUnix = to.bind.kind === "unix"
  const passed = passedOn(facts, onUnix)
  const from = clientIn(facts, passed, onUnix)
  const controller = new AbortController()
  const log = new LogFields()
  const said = new SimulatedClient(facts, scheme, sent, start)
  const connection = new SimulatedConnection(
    {
      client: client(from),
      server:
        to.bind.kind === "unix"
          ? { address: undefined, port: undefined }
          : { address: serverAddress(to.bind.address, from?.ip), port: to.bind.port },
      via: passed === undefined ? undefined : { address: passed.address, port: passed.port },
      proxy: passed?.proxy,
      listener: met === undefined ? listenerAt(to) : { name: met.name, url: met.url },
      openedAt: at,
      signal: controller.signal,
      postgres: start.postgres,
    },
    from?.ip,
    where,
    said,
    log,
  )
  return {
    connection,
    log,
    abort: (reason) => controller.abort(reason),
    refused: start.refused,
    objection: (decision) => said.objection(decision),
    isTerminated: () => said.isTerminated,
    close: () => SimulatedConnection.close(connection),
  }
}

/** A class, as the data path's is: what a policy takes off its connection fails in a test too. */
class SimulatedConnection implements Connection, Hooks {
  readonly id = `simulated-${++count}`
  readonly client: Client
  readonly server: Endpoint
  readonly via: Endpoint | undefined
  readonly proxy: ProxyFacts | undefined
  readonly listener: Connection["listener"]
  readonly openedAt: Date
  readonly postgres: PostgresStart | undefined
  readonly vars = new Map<string, unknown>()
  readonly signal: AbortSignal
  readonly dryRun = true
  readonly [ADDRESS]: Ip | undefined
  readonly #client: SimulatedClient
  readonly #log: LogFields
  /** Who is told of the end; `undefined` after it. */
  #atEnd: (() => void)[] | undefined = []

  readonly #geo: Geo | undefined

  constructor(
    known: Pick<Connection, "client" | "server" | "via" | "proxy" | "listener" | "openedAt" | "signal" | "postgres">,
    ip: Ip | undefined,
    geo: Geo | undefined,
    client: SimulatedClient,
    log: LogFields,
  ) {
    this[ADDRESS] = ip
    this.#geo = geo
    this.client = known.client
    this.server = known.server
    this.via = known.via
    this.proxy = known.proxy
    this.listener = known.listener
    this.openedAt = known.openedAt
    this.signal = known.signal
    this.postgres = known.postgres
    this.#client = client
    this.#log = log
  }

  static close(connection: SimulatedConnection): void {
    const atEnd = connection.#atEnd ?? []
    connection.#atEnd = undefined
    for (const then of atEnd) then()
  }

  [WHEN_CLOSED](then: () => void): void {
    if (this.#atEnd === undefined) then()
    else this.#atEnd.push(then)
  }

  [WHERE](): Geo | undefined {
    const ip = this[ADDRESS]
    return this.#geo ?? (ip === undefined ? undefined : databases?.(ip))
  }

  get tls(): ClientHello | undefined {
    return this.#client.hello
  }

  async peek(n: number, options: PeekOptions = {}): Promise<Uint8Array> {
    const { bytes, closed } = this.#client
    const size = peekSize(n)
    const given = onlyOption("peek", options, "within")
    const within = given === undefined ? PREREAD_DEADLINE : milliseconds(given, "peek: within")
    // A copy: what a policy does to its bytes is not what the upstream gets.
    if (bytes.length >= size || closed) return bytes.slice()
    throw new PrereadTimeout(`the client sent ${bytes.length} of ${size} bytes within ${within} ms`)
  }

  async hello(): Promise<ClientHello | undefined> {
    return this.#client.readHello()
  }

  async protocol(options: ProtocolOptions = {}): Promise<Protocol | undefined> {
    milliseconds(onlyOption("protocol", options, "silence") ?? PROTOCOL_SILENCE, "protocol: silence")
    return this.#client.protocol()
  }

  async terminate(options?: TerminateOptions): Promise<Terminated> {
    return this.#client.terminate(options)
  }

  log(fields: Record<string, unknown>): void {
    this.#log.add(fields)
  }
}

/** @throws FactsInvalid */
function geoFact(facts: Partial<Geo> | undefined): Geo | undefined {
  if (facts === undefined) return undefined
  checkFacts("geo: ", facts, Object.keys(GEO))
  for (const [name, type] of Object.entries(GEO)) {
    const value: unknown = Reflect.get(facts, name)
    if (value !== undefined && typeof value !== type)
      throw new FactsInvalid(`geo: ${name}: expected a ${type}, found ${describe(value)}`)
  }
  return { ...NOWHERE, ...facts }
}

/** The one listener that a URL names; `localhost` is its IPv4 address. @throws FactsInvalid */
export function listenerOf(to: unknown): ListenEntry {
  if (typeof to !== "string")
    throw new FactsInvalid(
      'to: expected the listener, like "tcp://:5432", "tls://db.example.com:443" or "unix:/run/x.sock"',
    )
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

/** As its policies see it: server names are left out, a listener may have many. */
function listenerAt({ bind, scheme, url }: ListenEntry): Connection["listener"] {
  const name = identity(bind, "").replace(/^tcp:/, "")
  if (bind.kind === "unix") return { name, url }
  return { name, url: `${scheme}://${formatHostPort(bind.address === "*" ? "" : bind.address, bind.port)}` }
}

function portOf(entry: ListenEntry): number | undefined {
  return entry.bind.kind === "tcp" ? entry.bind.port : undefined
}

/** Who the client is: a load balancer that connects on nobody's behalf is its own. */
function clientIn({ from }: Facts, passed: Passed | undefined, onUnix: boolean): SimulatedAddress | undefined {
  if (from === undefined && passed?.proxy.command === "local") return passed.at
  if (onUnix && (passed === undefined || from === undefined)) return undefined
  return addressIn("from", from)
}

function client(from: SimulatedAddress | undefined): Client {
  if (from === undefined) return { address: undefined, port: undefined, family: "unix", within: () => false }
  const within = (...ranges: readonly (string | CidrSet)[]) =>
    ranges.some((range) => (typeof range === "string" ? inlineCidrs([range]) : range).contains(from.ip))
  return { address: formatIp(from.ip), port: from.port, family: from.ip.family, within }
}

/** On a wildcard the client reached some address of this machine: the loopback of its family stands for it. */
function serverAddress(bound: string, client: Ip | undefined): string {
  if (bound !== "*" && bound !== "0.0.0.0" && bound !== "::") return bound
  return client?.family === "IPv6" ? "::1" : "127.0.0.1"
}
