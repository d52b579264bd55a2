// Lets the office and the monitoring in, and nobody else.
// `cidrs` compiles the list when the file is loaded: a slip in it is an error there and then.
import { cidrs, deny, route, type Connection } from "tidegate"

export const listen = "tcp://127.0.0.1:9101"

const allowed = cidrs("10.0.0.0/8", "192.168.0.0/16", "203.0.113.7", "2001:db8:5::/48")

export function on_tcp_connect(connection: Connection) {
  if (!connection.client.within(allowed)) return deny("not on the list")
  return route("tcp://db.internal:5432")
}
