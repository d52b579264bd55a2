// What a policy sees of a live connection. Everything is computed when it is read: most policies read little.
import { inlineCidrs, type CidrSet } from "../policy/cidr.ts"
import { formatIp, type Ip } from "../policy/address.ts"
import type {
  Client,
  Connection as PolicyConnection,
  Endpoint,
  PeekOptions,
  PostgresStart,
  ProtocolOptions,
} from "../policy/connection.ts"
import { GeoUnavailable, NO_DATABASE, type Geo } from "../policy/geo.ts"
import { ADDRESS, WHEN_CLOSED, WHERE, type Hooks } from "../policy/hooks.ts"
import { LogFields } from "../policy/log-fields.ts"
import { proxyFacts, type ProxyFacts } from "../policy/proxy-facts.ts"
import type { SocketName } from "../native/socket.ts"
import { ipOf } from "./socket-address.ts"
import { onlyOption } from "../policy/preread.ts"
import type { Terminated, TerminateOptions } from "../policy/terminate.ts"
import type { ClientHello, Protocol } from "../protocol/index.ts"
import type { Connection } from "./connection.ts"
import type { Preread } from "./preread.ts"
import { terminate } from "./terminate.ts"

class ClientView implements Client {
  private readonly ip: Ip | undefined
  readonly port: number | undefined

  constructor(name: SocketName | undefined) {
    this.ip = ipOf(name)
    this.port = name?.port
  }

  get address(): string | undefined {
    return this.ip === undefined ? undefined : formatIp(this.ip)
  }

  get family(): Client["family"] {
    return this.ip?.family ?? "unix"
  }

  within(...ranges: readonly (string | CidrSet)[]): boolean {
    return isWithin(this.ip, ranges)
  }
}

function endpointOf(name: SocketName | undefined): Endpoint {
  const ip = ipOf(name)
  return { address: ip === undefined ? undefined : formatIp(ip), port: name?.port }
}

export function isWithin(ip: Ip | undefined, ranges: readonly (string | CidrSet)[]): boolean {
  let texts: string[] | undefined = undefined
  let inside = false
  for (const range of ranges) {
    if (typeof range === "string") (texts ??= []).push(range)
    else inside ||= ip !== undefined && range.contains(ip)
  }
  // Compiled also for a unix client, so that a bad CIDR fails for everyone alike.
  if (texts === undefined) return inside
  return (ip !== undefined && inlineCidrs(texts).contains(ip)) || inside
}

export class ConnectionView implements PolicyConnection, Hooks {
  readonly #connection: Connection
  #client: ClientView | undefined
  #proxy: ProxyFacts | undefined
  #vars: Map<string, unknown> | undefined
  #abort: AbortController | undefined
  #ended: string | undefined
  #waits: Promise<unknown>[] | undefined

  constructor(connection: Connection) {
    this.#connection = connection
  }

  get id(): string {
    return this.#connection.id
  }

  get client(): Client {
    return (this.#client ??= new ClientView(this.#connection.peer))
  }

  get [ADDRESS](): Ip | undefined {
    return ipOf(this.#connection.peer)
  }

  [WHEN_CLOSED](then: () => void): void {
    this.#connection.whenClosed(then)
  }

  [WHERE](): Geo | undefined {
    const { where } = this.#connection.path.exits
    if (where === undefined) throw new GeoUnavailable(NO_DATABASE)
    const ip = this[ADDRESS]
    return ip === undefined ? undefined : where(ip)
  }

  get server(): Endpoint {
    return endpointOf(this.#connection.local)
  }

  get via(): Endpoint | undefined {
    const { proxied } = this.#connection
    return proxied === undefined ? undefined : endpointOf(proxied.sender)
  }

  get proxy(): ProxyFacts | undefined {
    const { proxied } = this.#connection
    return proxied === undefined ? undefined : (this.#proxy ??= proxyFacts(proxied.header))
  }

  get listener(): { readonly name: string; readonly url: string } {
    const { name, url } = this.#connection.plan
    return { name, url }
  }

  get openedAt(): Date {
    return new Date(this.#connection.openedAt)
  }

  get tls(): ClientHello | undefined {
    return this.#connection.hello
  }

  get postgres(): PostgresStart | undefined {
    return this.#connection.postgres
  }

  get vars(): Map<string, unknown> {
    return (this.#vars ??= new Map())
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.#ended !== undefined) this.#abort.abort(new Error(`the connection is over: ${this.#ended}`))
    }
    return this.#abort.signal
  }

  get dryRun(): boolean {
    return false
  }

  peek(n: number, options?: PeekOptions): Promise<Uint8Array> {
    return this.#told(async () => this.#ahead("peek").peek(n, onlyOption("peek", options, "within")))
  }

  hello(): Promise<ClientHello | undefined> {
    const connection = this.#connection
    return this.#told(async () => (connection.hello ??= await this.#ahead("hello").hello()))
  }

  protocol(options?: ProtocolOptions): Promise<Protocol | undefined> {
    const connection = this.#connection
    return this.#told(async () => {
      const silence = onlyOption("protocol", options, "silence")
      const ahead = this.#ahead("protocol")
      if (connection.hello !== undefined && connection.terminated === undefined)
        return { protocol: "tls", hello: connection.hello }
      const found = await ahead.protocol(silence)
      if (found?.protocol === "tls" && connection.termination === undefined) connection.hello ??= found.hello
      return found
    })
  }

  terminate(options?: TerminateOptions): Promise<Terminated> {
    return this.#told(async () => {
      this.#ahead("terminate")
      return terminate(this.#connection, options)
    })
  }

  /** Keeps in mind what a policy may be waiting for. */
  #told<Value>(waiting: () => Promise<Value>): Promise<Value> {
    const promise = waiting()
    ;(this.#waits ??= []).push(promise)
    return promise
  }

  /** The connection is decided or over: what it still waited for is rejected, and nobody has to listen to that. */
  settle(): void {
    for (const promise of this.#waits ?? []) promise.catch(() => undefined)
    this.#waits = undefined
  }

  /** What the client sends, while the policy may read it. */
  #ahead(what: string): Preread {
    if (this.#ended !== undefined) throw new Error(`the connection is over: ${this.#ended}`)
    // From here on the bytes go elsewhere.
    if (this.#connection.decidedAt !== undefined) throw new Error(`${what}: the connection is decided`)
    return this.#connection.ahead()
  }

  log(fields: Record<string, unknown>): void {
    const connection = this.#connection
    connection.logs ??= new LogFields()
    connection.logs.add(fields)
  }

  /** The connection is over, or no longer the policy's: whoever waits for it is told. */
  closed(reason: string): void {
    if (this.#ended !== undefined) return
    this.#ended = reason
    this.settle()
    if (this.#abort !== undefined && !NORMAL.has(reason))
      this.#abort.abort(new Error(`the connection is over: ${reason}`))
  }
}

/** Ends that are nobody's fault do not abort. */
const NORMAL = new Set(["client-closed", "upstream-closed", "answered", "denied", "no-decision"])
