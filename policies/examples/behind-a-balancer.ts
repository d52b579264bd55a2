// Behind a load balancer, which would be the only client ever seen: it says by a PROXY header for whom it connects. Only
// the addresses in `from` are believed; whoever else begins with such a header is closed before anybody is asked.
// `connection.client` is the balancer's client, `connection.via` the balancer, `connection.proxy` what else it says.
import { deny, route, type Connection, type ListenOptions } from "tidegate"

export const listen: ListenOptions = {
  url: "tcp://127.0.0.1:9120",
  proxyProtocol: { from: ["10.0.0.0/28", "2001:db8:1::/64"], mode: "required" },
}

export function on_tcp_connect({ client, proxy, via }: Connection) {
  // The balancer's own health check speaks for nobody; it only wants to be let in.
  if (proxy?.command === "local") return route("tcp://app.internal:8080")
  if (!client.within("203.0.113.0/24")) return deny(`not for ${client.address}, through ${via?.address}`)
  return route("tcp://app.internal:8080")
}
