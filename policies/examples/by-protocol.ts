// Several protocols on one port, told apart by what the client says first. A MySQL client says nothing, because its
// server speaks first. Whoever is refused is told why in its own language: `ssh`, `psql` and a browser show the reason.
import { cidrs, deny, route, type Connection } from "tidegate"

export const listen = "tcp://127.0.0.1:9110"

const office = cidrs("10.0.0.0/8")

export async function on_tcp_connect(connection: Connection) {
  const spoken = await connection.protocol()
  const isSilent = spoken === undefined && (await connection.peek(0)).length === 0
  if (!connection.client.within(office)) return deny("from the office only", { inBand: isSilent ? "mysql" : true })
  if (isSilent) return route("tcp://mysql.internal:3306")
  switch (spoken?.protocol) {
    case "ssh":
      return route("tcp://bastion.internal:22")
    case "http":
      return route(spoken.path?.startsWith("/api/") ? "tcp://api.internal:80" : "tcp://web.internal:80")
    case "postgres":
      return route("tcp://postgres.internal:5432")
    default:
      return deny(`${spoken?.protocol ?? "what you speak"} is not served here`, { inBand: true })
  }
}
