// ClientHellos as a real client sends them: recorded from Bun's own TLS once, then sent again for each name.
import { connect } from "node:tls"

/** 6 digits: as many names as any scenario has, all of one length, so that a hello is changed in place. */
export const DIGITS = 6

export const serverName = (i: number): string => `name-${digits(i)}.bench.example`

const digits = (i: number) => String(i).padStart(DIGITS, "0")

export interface Hello {
  /** One TLS record. */
  readonly bytes: Uint8Array
  /** Where the digits of its name begin. */
  readonly at: number
}

/** large: 1.5 kB with a post-quantum key share, as browsers send them; small: 0.3 kB without one, like that of OpenSSL 3. */
export type Size = "large" | "small"

/** RFC 8446 section 5.1: type, version, and the length that follows. */
const RECORD_HEADER = 5

export async function recordHello(size: Size): Promise<Hello> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  let got = Buffer.alloc(0)
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(_, chunk) {
        got = Buffer.concat([got, chunk])
        if (got.length < RECORD_HEADER || got.length < RECORD_HEADER + got.readUInt16BE(3)) return
        resolve(got)
      },
      close: () => reject(new Error("no ClientHello came")),
    },
  })
  const client = connect({
    host: "127.0.0.1",
    port: listener.port,
    servername: serverName(0),
    ALPNProtocols: ["h2", "http/1.1"],
    ...(size === "small" ? { ecdhCurve: "X25519:P-256" } : {}),
  })
  client.on("error", () => undefined)
  try {
    const bytes = await promise
    return { bytes, at: bytes.indexOf(serverName(0)) + "name-".length }
  } finally {
    client.destroy()
    listener.stop(true)
  }
}

/** Makes it ask for that name. */
export function rename({ bytes, at }: Hello, i: number): Uint8Array {
  let rest = i
  for (let place = at + DIGITS - 1; place >= at; place--) {
    bytes[place] = 0x30 + (rest % 10)
    rest = Math.floor(rest / 10)
  }
  return bytes
}
