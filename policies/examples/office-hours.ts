// Open from Monday to Friday, 8 to 18 o'clock in Zurich, whatever the time zone of the machine and of the season.
import { next, respond, type Connection } from "tidegate"

export const listen = "tcp://127.0.0.1:9102"

const clock = new Intl.DateTimeFormat("en-GB", {
  timeZone: "Europe/Zurich",
  weekday: "short",
  hour: "2-digit",
  hourCycle: "h23",
})

export function on_tcp_connect(connection: Connection) {
  const parts = Object.fromEntries(clock.formatToParts(connection.openedAt).map(({ type, value }) => [type, value]))
  const weekend = parts["weekday"] === "Sat" || parts["weekday"] === "Sun"
  const hour = Number(parts["hour"])
  if (weekend || hour < 8 || hour >= 18) return respond("We are open from Monday to Friday, 8 to 18 o'clock.\n")
  return next
}
