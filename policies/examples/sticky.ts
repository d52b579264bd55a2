// Keeps each MQTT client at one broker, by the client's own id: a device that comes back with another address finds its
// session. When a broker goes, only its clients move, and they return with it.
import { deny, route, type Connection, type Pools } from "tidegate"

export const listen = "tcp://127.0.0.1:9115"

export const pools = {
  brokers: {
    targets: ["tcp://broker-1.internal:1883", "tcp://broker-2.internal:1883", "tcp://broker-3.internal:1883"],
    balance: "hash",
    health: "tcp",
  },
} satisfies Pools

export async function on_tcp_connect(connection: Connection) {
  const spoken = await connection.protocol()
  if (spoken?.protocol !== "mqtt") return deny("does not speak MQTT")
  connection.log({ device: spoken.clientId })
  // Without an id the broker makes one up: any broker will do, and its address is as good as anything.
  return spoken.clientId === "" ? route("brokers") : route("brokers", { key: spoken.clientId })
}
