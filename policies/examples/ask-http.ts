// Asks a service whether a client may connect. `connection.signal` ends the request when the client has gone or the
// deadline is over; a service that fails means no, because a policy that throws closes the connection.
import { deny, next, type Connection } from "tidegate"

export const listen = "tcp://127.0.0.1:9106"
export const deadline = "2 seconds"

const service = "http://127.0.0.1:8080/may-connect"

export async function on_tcp_connect(connection: Connection) {
  const url = `${service}?ip=${encodeURIComponent(connection.client.address ?? "")}`
  const response = await fetch(url, { signal: connection.signal })
  if (response.status === 204) return next
  if (response.status === 403) return deny((await response.text()).slice(0, 200))
  throw new Error(`${service} answered ${response.status}`)
}
