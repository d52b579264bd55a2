// Answers every connection with a greeting: `nc 127.0.0.1 9000`.
import { respond, type Connection } from "tidegate"

export const listen = "tcp://127.0.0.1:9000"

export function on_tcp_connect(connection: Connection) {
  return respond(`Hello ${connection.client.address}, this is Tidegate.\n`)
}
