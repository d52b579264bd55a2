// AMQP: the protocol header, with which a client starts.
import { begins } from "./bytes.ts"

/** The header of an AMQP client. */
export interface Amqp {
  readonly protocol: "amqp"
  readonly version: "0-8" | "0-9" | "0-9-1" | "0-10" | "1.0"
  /** What AMQP 1.0 starts with (OASIS AMQP 1.0 sections 2.2, 5.2 and 5.3); earlier versions have one header. */
  readonly layer: "amqp" | "tls" | "sasl"
}

const HEADERS: readonly (readonly [string, Amqp["version"], Amqp["layer"]])[] = [
  ["AMQP\x00\x00\x09\x01", "0-9-1", "amqp"],
  ["AMQP\x00\x01\x00\x00", "1.0", "amqp"],
  ["AMQP\x02\x01\x00\x00", "1.0", "tls"],
  ["AMQP\x03\x01\x00\x00", "1.0", "sasl"],
  ["AMQP\x01\x01\x00\x0a", "0-10", "amqp"],
  ["AMQP\x01\x01\x00\x09", "0-9", "amqp"],
  ["AMQP\x01\x01\x08\x00", "0-8", "amqp"],
]

export function amqp(bytes: Uint8Array): Amqp | "more" | undefined {
  for (const [header, version, layer] of HEADERS) {
    const found = begins(bytes, header)
    if (found === true) return { protocol: "amqp", version, layer }
    if (found === "more") return "more"
  }
  return undefined
}
