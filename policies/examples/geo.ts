// Lets in the countries that are served, and nobody's hosting provider. Where the databases know nothing of an address
// (private ones, and new networks), it is let in: this keeps noise out, it is no lock.
//
// Needs MaxMind's GeoLite2-Country and GeoLite2-ASN: `serve --geoip FOLDER`. Without a database this file is not loaded.
import { deny, geo, next, type Connection } from "tidegate"

const served = new Set(["AT", "CH", "DE", "LI"])
/** Autonomous systems of hosting providers from which nobody is known to work. */
const hosting = new Set([64496, 64511])

export function on_tcp_connect(connection: Connection) {
  const { asn, country } = geo(connection)
  connection.log({ asn, country })
  if (country !== undefined && !served.has(country)) return deny(`not served in ${country}`)
  if (asn !== undefined && hosting.has(asn)) return deny(`AS${asn} is a hosting provider`)
  return next
}
