// What a policy sees of a connection, and what a policy is. Types only: the data path, the testing helper and
// `explain` each bring their own implementation.
import type { CidrSet } from "./cidr.ts"
import type { Answer } from "./decision.ts"
import type { Duration } from "./duration.ts"
import type { Listen } from "./listen.ts"
import type { ClientHello, Protocol } from "../protocol/index.ts"
import type { Pools } from "./pool.ts"
import type { ProxyFacts } from "./proxy-facts.ts"
import type { Terminated, TerminateOptions } from "./terminate.ts"

/** One end of a TCP connection. On a unix listener `address` and `port` are `undefined`. */
export interface Endpoint {
  /** Normal form: dotted quad, or RFC 5952 lower case without zone; an IPv4-mapped IPv6 address is IPv4. */
  readonly address: string | undefined
  readonly port: number | undefined
}

/** Who connects: behind a load balancer whose PROXY header is believed, its client. */
export interface Client extends Endpoint {
  readonly family: "IPv4" | "IPv6" | "unix"
  /**
   * Whether the client's address lies in any of the ranges. Always false on a unix listener.
   * Texts are compiled on first use and cached; `cidrs(...)` compiles at load, where a bad one is a load error.
   * @throws CidrInvalid
   */
  within(...ranges: readonly (string | CidrSet)[]): boolean
}

export interface PeekOptions {
  /** Wait at most this long. @default "3 seconds" */
  readonly within?: Duration
}

export interface ProtocolOptions {
  /** A client that sends nothing for this long lets the server speak first. @default "300 milliseconds" */
  readonly silence?: Duration
}

/**
 * How a client of a `postgres://` listener starts. `ssl-request` and `direct-tls`: it speaks TLS, and `connection.tls` is
 * its hello; who it is comes with `terminate()`, then `protocol()`. `startup`: in plain text. `cancel`: it cancels a query
 * of another connection and names nothing.
 */
export type PostgresStart =
  | {
      readonly kind: "startup"
      readonly user: string | undefined
      /** The user's name where the client names no database. */
      readonly database: string | undefined
      readonly applicationName: string | undefined
    }
  | { readonly kind: "ssl-request" | "direct-tls" | "cancel" }

/** A connection that waits for its decision. */
export interface Connection {
  /** Unique and ordered by time. */
  readonly id: string
  readonly client: Client
  /** The address and port that the client connected to; behind a load balancer, those that it connected to there. */
  readonly server: Endpoint
  /** The load balancer that passed the connection on with a PROXY header; `undefined` for one that came without. */
  readonly via: Endpoint | undefined
  /** What that header says. */
  readonly proxy: ProxyFacts | undefined
  readonly listener: { readonly name: string; readonly url: string }
  readonly openedAt: Date
  /**
   * What the client said before encryption began. On `tls://` and `postgres://` listeners it is there from the start
   * (`undefined` where a PostgreSQL client speaks plain text), elsewhere once `hello()` or `protocol()` has found it.
   */
  readonly tls: ClientHello | undefined
  /** How the client of a `postgres://` listener starts; `undefined` on other listeners. */
  readonly postgres: PostgresStart | undefined
  /** Shared by the policies that are asked about this connection. */
  readonly vars: Map<string, unknown>
  /** Aborts when the client resets, on an error, at the deadline and at shutdown. A client's FIN does not abort it. */
  readonly signal: AbortSignal
  /** True under `tidegate explain` and in tests: nothing will be done. */
  readonly dryRun: boolean
  /**
   * All bytes that the client has sent so far, as soon as there are `n` of them, fewer only after the client's FIN.
   * Consumes nothing: the upstream gets every byte. Calls may overlap.
   * @param n 0 to 16384
   * @throws PrereadTimeout after 3 seconds or `within`; PrereadTooLarge for more than 16 KiB
   */
  peek(n: number, options?: PeekOptions): Promise<Uint8Array>
  /**
   * The client's TLS hello, also on a `tcp://` listener; `undefined` for what is not TLS. Consumes nothing.
   * @throws PrereadTimeout after 3 seconds; HelloInvalid for what begins as TLS and is no valid hello
   */
  hello(): Promise<ClientHello | undefined>
  /**
   * What the client speaks, by its first bytes, with what they say; `undefined` for what is not known, and for a client
   * that is silent, because in its protocol the server speaks first. After `terminate()`, of the plain text. Consumes
   * nothing.
   */
  protocol(options?: ProtocolOptions): Promise<Protocol | undefined>
  /**
   * Ends TLS here: from then on `peek`, `protocol`, the route and the answer are about the plain text. Once per
   * connection. The handshake has 60 seconds.
   * @throws HandshakeFailed, whatever is decided afterwards; TerminateInvalid
   */
  terminate(options?: TerminateOptions): Promise<Terminated>
  /** Adds fields to the closing event: at most 4 KiB of JSON per connection. */
  log(fields: Record<string, unknown>): void
}

/** Why a connection ended; docs/events.md explains each. */
export type CloseReason =
  | "client-closed"
  | "upstream-closed"
  | "client-reset"
  | "upstream-reset"
  | "denied"
  | "answered"
  | "no-decision"
  | "no-policy"
  | "policy-failed"
  | "policy-timeout"
  | "preread-timeout"
  | "preread-too-large"
  | "hello-invalid"
  | "proxy-invalid"
  | "proxy-untrusted"
  | "tls-handshake-failed"
  | "dial-failed"
  | "no-target"
  | "idle-timeout"
  | "max-duration"
  | "limit-reached"
  | "shutdown"
  | "operator-closed"
  | "internal-error"

/** What `on_tcp_close` gets: the `object` of the closing event. Keys are always there; `null` where there is no value. */
export interface Summary {
  readonly conn: {
    readonly id: string
    readonly client_ip: string | null
    readonly client_port: number | null
    readonly server_ip: string | null
    readonly server_port: number | null
    /** The name that the client asked for (SNI). */
    readonly server_name: string | null
    readonly start_ts: string
    readonly end_ts: string
    /** Bytes from the client: of plain text where TLS was terminated. */
    readonly bytes_in: number
    /** Bytes to the client, likewise. */
    readonly bytes_out: number
  }
  /** The load balancer that passed it on with a PROXY header, and what that says; `null` for one that came without. */
  readonly via: {
    readonly ip: string | null
    readonly port: number | null
    readonly proxy_version: 1 | 2
    /** `local`: the load balancer's own connection. */
    readonly command: "proxy" | "local"
    readonly authority: string | null
    readonly unique_id: string | null
  } | null
  /** `block` when a policy denied the connection, `allow` when one routed or answered it. */
  readonly ip_policy: { readonly decision: "allow" | "block" | null }
  readonly ja4_fingerprint: string | null
  /** What was agreed on with a client whose TLS was terminated here; `null` for the others. */
  readonly tls: {
    readonly version: string
    readonly cipher: string
    readonly alpn: string | null
    readonly resumed: boolean
    readonly client_certificate: {
      readonly subject: string
      readonly fingerprint: string
      readonly verified: boolean
    } | null
  } | null
  /** What the policies logged, in order. */
  readonly traffic_policy: { readonly logs: readonly Record<string, unknown>[] }
  readonly listener: { readonly name: string; readonly url: string }
  /** The policy that decided or failed; `null` when none did. `reason` is deny's, or the failure's message. */
  readonly policy: {
    readonly file: string
    /** Which part of its file, for files that have several: `TCPRoute default/db`. */
    readonly rule: string | null
    readonly version: string
    readonly decision: "route" | "deny" | "respond" | null
    readonly reason: string | null
  } | null
  /**
   * The target that was reached, or tried last, and the pool that it was picked from; `target` is `null` where there was
   * none to try. `error` says why the last attempt failed.
   */
  readonly upstream: {
    readonly pool: string | null
    readonly target: string | null
    readonly address: string | null
    readonly attempts: number
    readonly error: string | null
  } | null
  /** Milliseconds. `connect_ms` counts from the decision until the upstream was connected. */
  readonly timing: {
    readonly decide_ms: number | null
    readonly connect_ms: number | null
    readonly duration_ms: number
  }
  /** What was wrong before a policy could say anything: with the client's hello, or with the name that it asks for. */
  readonly problem: string | null
  readonly close: { readonly reason: CloseReason; readonly by: "client" | "upstream" | "gateway" }
}

/**
 * An Effect, known by its type id so that these types need no import of effect.
 * @see https://effect.website
 */
export interface EffectOf<A> {
  readonly "~effect/Effect": { readonly _A: (_: never) => A }
}

/** What `on_tcp_connect` may return. A plain answer costs no waiting. */
export type Answering = Answer | Promise<Answer> | EffectOf<Answer>

/** The exports of a policy file. Write `export const policy = {...} satisfies Policy` for a default export. */
export interface Policy<R = any> {
  /** What to listen on. Left out: the policy is asked on every listener. */
  readonly listen?: Listen
  /** Time for a Promise or an Effect to answer. @default "5 seconds" */
  readonly deadline?: Duration
  /** Pools by name, for routes of every policy: lower-case letters, digits and dashes, a letter first. */
  readonly pools?: Pools
  /** Makes what `on_tcp_connect` gets as its second argument, before the file goes live; 10 seconds. */
  readonly setup?: () => R | Promise<R> | EffectOf<R>
  readonly on_tcp_connect: (connection: Connection, resources: R) => Answering
  /** Called once after every connection that this policy was asked about. */
  readonly on_tcp_close?: (summary: Summary, resources: R) => void
}
