// Routes TLS by the name that the client asks for, and decrypts nothing: certificates and keys stay with the servers.
// A name that is not here gets the TLS alert access_denied.
import { deny, route, type Connection } from "tidegate"

export const listen = "tls://127.0.0.1:9108"

const services = new Map([
  ["shop.example.com", route("tcp://shop.internal:443")],
  ["wiki.example.com", route(["tcp://wiki-1.internal:443", "tcp://wiki-2.internal:443"])],
])

export function on_tcp_connect({ tls }: Connection) {
  return services.get(tls?.sni ?? "") ?? deny("no such service")
}
