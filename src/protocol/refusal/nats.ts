// NATS: an error behind the INFO that a server begins with, for without it clients look at nothing else.
import { line } from "./line.ts"
import { packet } from "./packet.ts"

/** The fields that every INFO has (docs.nats.io, "Client Protocol"), of a server that offers nothing. */
const INFO = {
  server_id: "tidegate",
  server_name: "tidegate",
  version: "0.0.0",
  go: "",
  host: "0.0.0.0",
  port: 0,
  headers: false,
  max_payload: 0,
  proto: 1,
}

export function nats(reason: string | undefined): Uint8Array {
  return packet(`INFO ${JSON.stringify(INFO)}\r\n-ERR '${line(reason)}'\r\n`)
}
