// Tells the servers who the client is, by a PROXY header before everything else. Both sides have to agree: a server that
// does not expect the header takes it for the client's first bytes, and one that does refuses those who come without, so
// each of these ports is one that HAProxy or nginx has with `accept-proxy` or `proxy_protocol`.
import { route, type Connection, type Pools } from "tidegate"

const MAIL = 9123
const WEB = 9124

export const listen = [`tcp://127.0.0.1:${MAIL}`, `tls://127.0.0.1:${WEB}`]

export const pools = {
  web: {
    targets: ["tcp://web-1.internal:8443", "tcp://web-2.internal:8443"],
    // Version 2 also says which server name the client asked for, and the id that the connection has in events.
    proxyProtocol: 2,
    // Checks send no header: a TCP check asks for none, or another port may be checked.
    health: { check: { http: { path: "/health" } }, port: 8080 },
  },
} satisfies Pools

// Postfix reads it with smtpd_upstream_proxy_protocol = haproxy. SMTP servers speak first: nothing is waited for.
const mail = route("tcp://mail.internal:10025", { proxyProtocol: 1 })

export const on_tcp_connect = ({ server }: Connection) => (server.port === MAIL ? mail : route("web"))
