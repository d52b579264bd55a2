// VNC: the version that a client answers to the server's (RFC 6143 section 7.1.1). The server speaks first.
import { begins, latin1 } from "./bytes.ts"

/** The version of a VNC client. */
export interface Vnc {
  readonly protocol: "vnc"
  /** `"3.8"` */
  readonly version: string
}

const SIZE = 12
const VERSION = /^RFB ([0-9]{3})\.([0-9]{3})\n$/

export function vnc(bytes: Uint8Array): Vnc | "more" | undefined {
  const start = begins(bytes, "RFB ")
  if (start !== true) return start || undefined
  const text = latin1(bytes, 0, Math.min(bytes.length, SIZE))
  const version = VERSION.exec(text + "RFB 000.000\n".slice(text.length))
  if (version === null) return undefined
  if (text.length < SIZE) return "more"
  return { protocol: "vnc", version: `${Number(version[1])}.${Number(version[2])}` }
}
