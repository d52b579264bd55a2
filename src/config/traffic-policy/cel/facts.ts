// What expressions are told about: one connection, as one policy sees it. Nothing is computed before an expression reads
// it.
import type { GeoPlace } from "../../../limit/geo-place.ts"
import type { Ip } from "../../../policy/address.ts"
import type { ClientCertificate } from "../../../policy/client-certificate.ts"
import type { Connection } from "../../../policy/connection.ts"
import type { Terminated } from "../../../policy/terminate.ts"
import type { Value } from "./value.ts"

/** The endpoint that the connection came to: `endpoint.*`. */
export interface EndpointFacts {
  readonly id: string
  readonly url: string
  /** `host:port` */
  readonly addr: string
  readonly host: string
  readonly port: number
  readonly protocol: "tcp" | "tls"
}

/** A certificate, with what not every source of one has. */
export interface CertificateFacts extends ClientCertificate {
  readonly signatureAlgorithm?: string | undefined
  readonly extensions?: readonly CertificateExtension[] | undefined
  readonly pem?: string | undefined
}

export interface CertificateExtension {
  /** `"2.5.29.17"` */
  readonly id: string
  readonly critical: boolean
  /** DER. */
  readonly value: Uint8Array
}

/** Where facts come from. */
export interface FactSource {
  /** Its hello is what `connection.tls` has when an expression reads it: wait for `hello()` first where one `needs` it. */
  readonly connection: Connection
  readonly endpoint: EndpointFacts
  /** `conn.server_region` @default "" */
  readonly region?: string | undefined
  /** Categories of an address, like `com.cloudflare.ipv4`. @default none are known */
  readonly categories?: ((ip: Ip) => readonly string[]) | undefined
  /** What databases know of any address. @default for the client, what `geo()` tells */
  readonly place?: ((ip: Ip) => GeoPlace | undefined) | undefined
  /** What `secrets.get` gives; `undefined` where there is no such secret. */
  readonly secret?: ((vault: string, name: string) => string | undefined) | undefined
  /** The certificate that was presented to the client, once TLS was ended. */
  readonly serverCertificate?: (() => CertificateFacts | undefined) | undefined
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: (() => number) | undefined
}

/** The facts of one connection for one policy, with the variables and results that its actions leave behind. */
export declare class Facts {
  readonly source: FactSource
  /** Set it once TLS was ended: `conn.tls.*` says from then on what was agreed. */
  terminated: Terminated | undefined
  constructor(source: FactSource)
  /** `vars.<name>`; what a template gave, or plain data. */
  setVar(name: string, value: Value): void
  /** `actions.ngrok.<action>`; of several runs of an action the last one is seen. */
  setResult(action: string, value: Readonly<Record<string, Value>>): void
}
