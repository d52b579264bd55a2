// Downloads of backups that leave room for the others: 10 MB a second for each client, over all of its connections, and
// no limit inside. What comes faster waits: no byte is lost, the sender is slowed down.
import { route, type Connection } from "tidegate"

export const listen = "tcp://127.0.0.1:9121"

const backups = "tcp://backups.internal:873"
const inside = route(backups)
const outside = route(backups, { bandwidth: { down: "10 MB/s", key: "client" } })

export const on_tcp_connect = ({ client }: Connection) => (client.within("10.0.0.0/8") ? inside : outside)
