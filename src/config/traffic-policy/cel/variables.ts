// Every variable that an expression may read, with its type, and where it comes from. Names and meaning as ngrok has them
// at layer 4; what is beyond ngrok says so.
import { celList, type CelInput } from "@bufbuild/cel"
import type { GeoCountry, GeoPlace } from "../../../limit/geo-place.ts"
import { nameParts, LISTED } from "./distinguished-name.ts"
import type { CertificateFacts, Facts, Side } from "./facts.ts"
import { BOOL, DOUBLE, DUAL, INT, LIST, STRING, STRINGS, TIMESTAMP, type Type } from "./type.ts"
import { timeValue } from "./value.ts"

/** What has to be there before a variable says something. */
export type Need = "hello" | "terminated" | "geo" | "categories" | "secrets"

export interface Variable {
  readonly type: Type
  readonly need: Need | undefined
  /** `undefined` where it is not there; then it reads as nothing of its type: `""`, 0, `false`, `[]`. */
  read(facts: Facts): CelInput | undefined
}

const variables = new Map<string, Variable>()

function add(name: string, type: Type, read: Variable["read"], need?: Need): void {
  variables.set(name, { type, need, read })
}

const int = (value: number | undefined) => (value === undefined ? undefined : BigInt(Math.trunc(value)))
const text = (value: number | undefined) => (value === undefined ? undefined : String(value))
const serverName = ({ source, terminated }: Facts) => source.connection.tls?.sni ?? terminated?.sni
const versionNumber = (name: string) => (name.startsWith("TLSv") ? name.slice(4) : name)
const listOf = (items: readonly string[] | undefined) => (items === undefined ? undefined : celList(items))
const offered = ({ source }: Facts) => listOf(source.connection.tls?.versions.map(versionNumber))
const time = (value: Date | undefined) => (value === undefined ? undefined : timeValue(value.getTime()))

addAddress("client")
addAddress("server")
add("conn.client_port", INT, ({ source }) => int(source.connection.client.port))
add("conn.server_port", INT, ({ source }) => int(source.connection.server.port))
add("conn.server_region", STRING, ({ source }) => source.region)
add("conn.ts.start", TIMESTAMP, ({ source }) => time(source.connection.openedAt))
add("conn.bytes_in", INT, () => 0n)
add("conn.bytes_out", INT, () => 0n)
addPlace("conn.geo", "client")
addTls()
addProxy()
add("endpoint.id", STRING, ({ source }) => source.endpoint.id)
add("endpoint.url", STRING, ({ source }) => source.endpoint.url)
add("endpoint.addr", STRING, ({ source }) => source.endpoint.addr)
add("endpoint.host", STRING, ({ source }) => source.endpoint.host)
add("endpoint.port", INT, ({ source }) => int(source.endpoint.port))
add("endpoint.protocol", STRING, ({ source }) => source.endpoint.protocol)
// ngrok has a text here, which its users wrap into timestamp(); a timestamp is good for that as well.
add("time.now", TIMESTAMP, ({ source }) => timeValue((source.now ?? Date.now)()))

export const VARIABLES: ReadonlyMap<string, Variable> = variables

function addAddress(side: Side): void {
  const at = `conn.${side}_ip`
  const place = `${at}.geo.location`
  add(at, DUAL, ({ source }) => source.connection[side].address)
  add(`${at}.categories`, STRINGS, (facts) => celList(facts.categories(side)), "categories")
  add(`${at}.is_on_blocklist`, BOOL, (facts) => facts.isListed(side, "blocklist"), "categories")
  add(`${at}.is_tor_node`, BOOL, (facts) => facts.isListed(side, "proxy.anonymous.tor"), "categories")
  add(`${at}.as.number`, INT, (facts) => int(facts.place(side)?.asn), "geo")
  add(`${at}.as.organization`, STRING, (facts) => facts.place(side)?.organisation, "geo")
  addPlace(place, side)
  addCountry(place, (facts) => facts.place(side))
  addCountry(`${at}.geo.registered_location`, (facts) => facts.place(side)?.registered)
  // Names of ngrok that no database has: an address is registered in a country.
  for (const name of ["city", "metro_code", "subdivision", "timezone"])
    add(`${at}.geo.registered_location.${name}`, STRING, () => undefined, "geo")
}

function addCountry(at: string, of: (facts: Facts) => GeoCountry | undefined): void {
  add(`${at}.continent`, STRING, (facts) => of(facts)?.continent, "geo")
  add(`${at}.country`, STRING, (facts) => of(facts)?.country, "geo")
  add(`${at}.country_code`, STRING, (facts) => of(facts)?.countryCode, "geo")
  add(`${at}.is_eu`, BOOL, (facts) => of(facts)?.isEu, "geo")
}

/** `conn.geo` of ngrok has a part of it, and the numbers are texts; `*_degrees` and `radius_km` are numbers. */
function addPlace(at: string, side: Side): void {
  // `conn` as a whole shows it.
  const placeOf = (facts: Facts) => (at === "conn.geo" ? facts.placeIfAny(side) : facts.place(side))
  const field = (name: string, type: Type, read: (place: GeoPlace) => CelInput | undefined) => {
    add(
      `${at}.${name}`,
      type,
      (facts) => {
        const place = placeOf(facts)
        return place === undefined ? undefined : read(place)
      },
      "geo",
    )
  }
  addCountry(at, placeOf)
  field("city", STRING, ({ city }) => city)
  field("subdivision", STRING, ({ subdivision }) => subdivision)
  field("latitude", STRING, ({ latitude }) => text(latitude))
  field("longitude", STRING, ({ longitude }) => text(longitude))
  field("radius", STRING, ({ radius }) => text(radius))
  field("metro_code", STRING, ({ metroCode }) => text(metroCode))
  field("postal_code", STRING, ({ postalCode }) => postalCode)
  field("timezone", STRING, ({ timezone }) => timezone)
  field("latitude_degrees", DOUBLE, ({ latitude }) => latitude)
  field("longitude_degrees", DOUBLE, ({ longitude }) => longitude)
  field("radius_km", INT, ({ radius }) => int(radius))
}

/** Before TLS was ended here the hello tells what the client asks for; from then on it is what was agreed. */
function addTls(): void {
  add("conn.tls.sni", STRING, serverName, "hello")
  // Not of ngrok, where only its events have it.
  add("conn.server_name", STRING, serverName, "hello")
  add("conn.tls.ja4_fingerprint", STRING, ({ source }) => source.connection.tls?.ja4, "hello")
  // Beyond ngrok: JA3, and what the client offers.
  add("conn.tls.ja3_fingerprint", STRING, ({ source }) => source.connection.tls?.ja3, "hello")
  add("conn.tls.alpn", STRINGS, ({ source }) => listOf(source.connection.tls?.alpn), "hello")
  add("conn.tls.versions", STRINGS, offered, "hello")
  add("conn.tls.version", STRING, ({ terminated: tls }) => tls && versionNumber(tls.version), "terminated")
  add("conn.tls.cipher_suite", STRING, ({ terminated: tls }) => tls?.cipher, "terminated")
  add("conn.tls.negotiated_alpn", STRING, ({ terminated: tls }) => tls?.alpn, "terminated")
  add("conn.tls.session_resumed", BOOL, ({ terminated: tls }) => tls?.resumed, "terminated")
  addCertificate("client")
  addCertificate("server")
}

function addCertificate(side: Side): void {
  const at = `conn.tls.${side}`
  const field = (name: string, type: Type, read: (certificate: CertificateFacts) => CelInput | undefined) => {
    const of = (facts: Facts) => {
      const certificate = facts.certificate(side)
      return certificate === undefined ? undefined : read(certificate)
    }
    add(`${at}.${name}`, type, of, "terminated")
  }
  for (const name of ["subject", "issuer"] as const) {
    field(name, DUAL, (certificate) => certificate[name])
    field(`${name}.common_name`, STRING, (certificate) => nameParts(certificate[name]).common_name)
    for (const part of LISTED)
      field(`${name}.${part}`, STRINGS, (certificate) => celList(nameParts(certificate[name])[part]))
  }
  field("san", DUAL, ({ sans: { dns, email, ip, uri } }) =>
    [
      ...dns.map((name) => `DNS:${name}`),
      ...email.map((address) => `email:${address}`),
      ...ip.map((address) => `IP Address:${address}`),
      ...uri.map((name) => `URI:${name}`),
    ].join(", "),
  )
  field("san.dns_names", STRINGS, ({ sans }) => celList(sans.dns))
  field("san.email_addresses", STRINGS, ({ sans }) => celList(sans.email))
  field("san.ip_addresses", STRINGS, ({ sans }) => celList(sans.ip))
  field("san.uris", STRINGS, ({ sans }) => celList(sans.uri))
  field("serial_number", STRING, ({ serial }) => serial)
  field("signature_algorithm", STRING, ({ signatureAlgorithm }) => signatureAlgorithm)
  field("validity.not_before", TIMESTAMP, ({ notBefore }) => time(notBefore))
  field("validity.not_after", TIMESTAMP, ({ notAfter }) => time(notAfter))
  field("extensions", LIST, ({ extensions }) => extensions?.map(({ critical, id, value }) => ({ critical, id, value })))
  field("pem", STRING, ({ pem }) => pem)
  // Beyond ngrok: SHA-256, lower case hexadecimal.
  field("fingerprint", STRING, ({ fingerprint }) => fingerprint)
}

/** Beyond ngrok: the load balancer in front, and what its PROXY header says. */
function addProxy(): void {
  add("conn.via.ip", STRING, ({ source }) => source.connection.via?.address)
  add("conn.via.port", INT, ({ source }) => int(source.connection.via?.port))
  add("conn.proxy.version", INT, ({ source }) => int(source.connection.proxy?.version))
  add("conn.proxy.command", STRING, ({ source }) => source.connection.proxy?.command)
  add("conn.proxy.authority", STRING, ({ source }) => source.connection.proxy?.authority)
  add("conn.proxy.alpn", STRING, ({ source }) => source.connection.proxy?.alpn)
  add("conn.proxy.unique_id", STRING, ({ source }) => source.connection.proxy?.uniqueId)
}
