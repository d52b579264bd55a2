// Slows down who tries passwords: 10 connections a minute from each address, up to 5 of them at once. Whoever comes more
// often waits 5 seconds for nothing. What is counted outlives a reload, also one with other numbers.
import { cidrs, deny, rateLimit, route, type Connection } from "tidegate"

export const listen = "tcp://127.0.0.1:9118"

const office = cidrs("10.0.0.0/8", "2001:db8:5::/48")
// An IPv6 client is counted by its /64, of which it may use any address.
const perClient = rateLimit("ssh per client", { limit: 10, per: "1 minute", burst: 5 })

export function on_tcp_connect(connection: Connection) {
  if (!connection.client.within(office) && !perClient.take(connection)) {
    return deny("too many connections in a minute", { delay: "5 seconds" })
  }
  return route("tcp://bastion.internal:22")
}
