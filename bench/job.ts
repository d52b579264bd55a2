// What the load generator can be asked to do, and what it reports.
import type { Hello } from "./hello.ts"
import type { Direction } from "./wire.ts"

export interface Aim {
  readonly address: string
  /** Connections go to these ports in turn. */
  readonly ports: readonly number[]
  /** Over TLS; otherwise plain. */
  readonly tls?: ClientTls
}

/** How the load generator speaks TLS. A connection that negotiates anything else has failed. */
export interface ClientTls {
  readonly version: "TLSv1.2" | "TLSv1.3"
  /** Takes up the latest session of the aim. */
  readonly resume: boolean
}

/** First bytes that ask for one of the names `0` to `names - 1`, a different one each time. */
export interface Names {
  readonly hello: Hello
  readonly names: number
}

export type Job =
  /** New connections, a fixed number of them at a time. */
  | {
      readonly kind: "connections"
      readonly aim: Aim
      readonly count: number
      readonly concurrency: number
      /** answered: asks and waits for the upstream. closed: waits to be closed. told: waits for `bytes`, then the close. */
      readonly expect: "answered" | "closed" | "told"
      readonly bytes: number
      /** Instead of the small request. */
      readonly first?: Names
    }
  /** Opens connections, each with one request, and keeps them. */
  | { readonly kind: "open"; readonly aim: Aim; readonly count: number; readonly concurrency: number }
  /** Requests on the kept connections, one at a time on each. */
  | { readonly kind: "requests"; readonly count: number }
  /** As `open`, but each connection then sends `bytes` every `every` milliseconds. */
  | {
      readonly kind: "slow"
      readonly aim: Aim
      readonly count: number
      readonly concurrency: number
      readonly bytes: number
      readonly every: number
    }
  /** Each stream moves `bytes` in its direction. */
  | {
      readonly kind: "bulk"
      readonly aim: Aim
      readonly streams: number
      readonly bytes: number
      readonly direction: Direction
    }
  /** New connections until `stop`. */
  | { readonly kind: "stream"; readonly aim: Aim; readonly concurrency: number }
  /** New connections at this pace for so many seconds, each of which waits `patience` milliseconds for its answer. */
  | {
      readonly kind: "pace"
      readonly aim: Aim
      /** Per second. */
      readonly rate: number
      readonly seconds: number
      readonly patience: number
      /** The upstream speaks first; otherwise it is asked. */
      readonly greeted: boolean
    }
  | { readonly kind: "stop" }
  /** Closes what is kept. */
  | { readonly kind: "shut" }

export interface Done {
  /** What was done: connections, requests or bytes. */
  readonly units: number
  readonly failed: number
  readonly seconds: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  /** Connections that have taken up an earlier session; over TLS. */
  readonly resumed?: number
  /** When those began that failed: milliseconds since 1970. Of a pace; its percentiles are until the first byte. */
  readonly failures?: readonly number[]
}
