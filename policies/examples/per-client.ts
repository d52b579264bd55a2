// What one client may ask for: 20 connections a minute, of which 5 at once, and 10 that are open at one time. A network
// is one client: an IPv4 address, an IPv6 /64. Counts outlive reloads, this file's own too.
import { concurrencyLimit, deny, rateLimit, route, type Connection } from "tidegate"

export const listen = "tcp://127.0.0.1:9113"

const perMinute = rateLimit("per-minute", { limit: 20, per: "1 minute", burst: 5 })
const atOnce = concurrencyLimit("at-once", { max: 10 })

export function on_tcp_connect(connection: Connection) {
  if (!perMinute.take(connection)) return deny("slow down")
  // Given back when the connection ends.
  if (!atOnce.take(connection)) return deny("too many connections")
  return route("tcp://db.internal:5432")
}
