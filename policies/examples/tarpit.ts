// Costs port scanners time: whoever does not start with our magic word waits 20 seconds and learns nothing.
import { deny, route, PrereadTimeout, type Connection } from "tidegate"

export const listen = "tcp://127.0.0.1:9105"

const MAGIC = "MQTT"

export async function on_tcp_connect(connection: Connection) {
  try {
    const bytes = await connection.peek(8, { within: "1 second" })
    if (new TextDecoder().decode(bytes.subarray(4, 8)) === MAGIC) return route("tcp://broker.internal:1883")
  } catch (error) {
    if (!(error instanceof PrereadTimeout)) throw error
  }
  connection.log({ scanner: connection.client.address })
  return deny("does not speak MQTT", { delay: "20 seconds" })
}
