// Many PostgreSQL databases behind one port. With TLS the client names a server, its TLS passes through, and the server
// shows its own certificate: `psql "host=shop.db.example.com sslmode=verify-full"`. Without TLS there is no server name,
// but the name of a database; that is for the office. psql prints the reason of a denial.
import { deny, route, type Connection } from "tidegate"

export const listen = "postgres://127.0.0.1:9111"

const servers = new Map([
  ["shop.db.example.com", route("tcp://shop-db.internal:5432")],
  ["wiki.db.example.com", route("tcp://wiki-db.internal:5432")],
])

export function on_tcp_connect({ client, postgres, tls }: Connection) {
  if (tls !== undefined) return servers.get(tls.sni ?? "") ?? deny("no such database server")
  // It has a key and no name: which server knows the key, only the servers can say.
  if (postgres?.kind !== "startup") return deny("a query is cancelled at its server")
  if (!client.within("10.0.0.0/8")) return deny("use sslmode=require")
  return servers.get(`${postgres.database}.db.example.com`) ?? deny(`there is no database ${postgres.database}`)
}
