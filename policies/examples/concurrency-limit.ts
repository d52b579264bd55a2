// No tenant takes all of a shared database's connections: 100 for each, at most 20 of them from one address. A connection
// counts until it has ended.
import { concurrencyLimit, deny, route, type Connection } from "tidegate"

export const listen = "postgres://127.0.0.1:9119"

const perTenant = concurrencyLimit("connections per tenant", { max: 100, key: "sni" })
const perClient = concurrencyLimit("connections per client of a tenant", {
  max: 20,
  key: ({ client, tls }) => `${tls?.sni} ${client.address}`,
})

export function on_tcp_connect(connection: Connection) {
  const tenant = /^([a-z0-9-]+)\.db\.example\.com$/.exec(connection.tls?.sni ?? "")?.[1]
  if (tenant === undefined) return deny("connect to TENANT.db.example.com with sslmode=require")
  // The narrow one first: whoever it turns away is not counted by the wide one. psql prints the reason.
  if (!perClient.take(connection)) return deny(`too many connections to ${tenant} from your address`)
  if (!perTenant.take(connection)) return deny(`too many connections to ${tenant}`)
  return route("tcp://shared-db.internal:5432")
}
