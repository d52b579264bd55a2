// NATS: the CONNECT of a client. The server speaks first; a client that does not wait for its INFO begins with this.
import { begins, utf8 } from "./bytes.ts"

/** The CONNECT of a NATS client. */
export interface Nats {
  readonly protocol: "nats"
  readonly user: string | undefined
  /** The name that the client gives itself. */
  readonly name: string | undefined
}

const LF = 10

export function nats(bytes: Uint8Array): Nats | "more" | undefined {
  const start = begins(bytes, "CONNECT {")
  if (start !== true) return start || undefined
  const lf = bytes.indexOf(LF)
  if (lf < 0) return "more"
  const options = object(utf8(bytes, "CONNECT ".length, lf))
  if (options === undefined) return undefined
  return { protocol: "nats", user: text(options["user"]), name: text(options["name"]) }
}

function object(json: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined
}
