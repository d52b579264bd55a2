// What expressions are told about: one connection, as one policy sees it. Nothing is computed before an expression reads
// it.
import type { GeoPlace } from "../../../limit/geo-place.ts"
import { parseIp, type Ip } from "../../../policy/address.ts"
import type { ClientCertificate } from "../../../policy/client-certificate.ts"
import type { Connection } from "../../../policy/connection.ts"
import { geo, GeoUnavailable } from "../../../policy/geo.ts"
import type { Terminated } from "../../../policy/terminate.ts"
import type { Activation } from "./activation.ts"
import { fromPlain, type Plain, type Value } from "./value.ts"

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
  /** More of the client's certificate than `terminated` has. */
  readonly clientCertificate?: (() => CertificateFacts | undefined) | undefined
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: (() => number) | undefined
}

export type Side = "client" | "server"

/** What was looked up of the address of one side. */
interface Looked {
  readonly ip: Ip | undefined
  place?: GeoPlace | undefined
  hasPlace?: boolean
  categories?: readonly string[]
}

/** The facts of one connection for one policy, with the variables and results that its actions leave behind. */
export class Facts {
  readonly source: FactSource
  /** Set it once TLS was ended: `conn.tls.*` says from then on what was agreed. */
  terminated: Terminated | undefined
  readonly vars = new Map<string, Value>()
  readonly results = new Map<string, Value>()
  /** As the library reads them; made by the first evaluation. */
  activation: Activation | undefined
  private readonly looked: { [At in Side]?: Looked } = {}

  constructor(source: FactSource) {
    this.source = source
  }

  /** `vars.<name>`: what a template gave, or `fromPlain`. */
  setVar(name: string, value: Value): void {
    this.vars.set(name, value)
  }

  /** `actions.ngrok.<action>`, with underscores; of several runs of an action the last one is seen. @throws TooDeep */
  setResult(action: string, value: { readonly [name: string]: Plain }): void {
    this.results.set(action, fromPlain(value))
  }

  /** @throws GeoUnavailable */
  place(side: Side): GeoPlace | undefined {
    const looked = this.look(side)
    if (looked.hasPlace !== true) {
      looked.place = this.findPlace(side, looked.ip)
      looked.hasPlace = true
    }
    return looked.place
  }

  /** The same, and nothing where there is no database: `conn` as a whole can be shown without one. */
  placeIfAny(side: Side): GeoPlace | undefined {
    try {
      return this.place(side)
    } catch (error) {
      if (error instanceof GeoUnavailable) return undefined
      throw error
    }
  }

  categories(side: Side): readonly string[] {
    const looked = this.look(side)
    return (looked.categories ??= looked.ip === undefined ? [] : withAncestors(this.source.categories?.(looked.ip)))
  }

  /** Whether the address is in a category, or in one below it. */
  isListed(side: Side, category: string): boolean {
    return this.categories(side).includes(category)
  }

  certificate(side: Side): CertificateFacts | undefined {
    if (this.terminated === undefined) return undefined
    if (side === "server") return this.source.serverCertificate?.()
    return this.source.clientCertificate?.() ?? this.terminated.clientCertificate
  }

  private look(side: Side): Looked {
    const address = this.source.connection[side].address
    return (this.looked[side] ??= { ip: address === undefined ? undefined : parseIp(address) })
  }

  private findPlace(side: Side, ip: Ip | undefined): GeoPlace | undefined {
    const { connection, place } = this.source
    if (ip === undefined) return undefined
    if (place !== undefined) return place(ip)
    if (side === "server") return undefined
    const { asn, city, continent, country, organisation } = geo(connection)
    return { ...NOWHERE, asn, city, continent, countryCode: country, organisation }
  }
}

const NOWHERE: GeoPlace = {
  asn: undefined,
  city: undefined,
  continent: undefined,
  country: undefined,
  countryCode: undefined,
  isEu: undefined,
  latitude: undefined,
  longitude: undefined,
  metroCode: undefined,
  organisation: undefined,
  postalCode: undefined,
  radius: undefined,
  registered: undefined,
  subdivision: undefined,
  timezone: undefined,
}

/** `com.cloudflare.ipv4` is `com.cloudflare` and `com` too. */
function withAncestors(names: readonly string[] = []): readonly string[] {
  const all = new Set(names)
  for (const name of names)
    for (let dot = name.lastIndexOf("."); dot > 0; dot = name.lastIndexOf(".", dot - 1)) all.add(name.slice(0, dot))
  return [...all]
}
