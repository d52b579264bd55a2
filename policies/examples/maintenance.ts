// Answers clients when the database is down, and all but the administrators while it is being worked on.
import { respond, route, type Connection } from "tidegate"

export const listen = "tcp://127.0.0.1:9104"

const maintenance = false
const notice = respond("Down for maintenance until 14:00 UTC.\n")
const database = route("tcp://db.internal:5432", { connectTimeout: "2 seconds" })

export function on_tcp_connect(connection: Connection) {
  if (maintenance && !connection.client.within("10.0.9.0/24")) return notice
  return database.or(notice)
}
