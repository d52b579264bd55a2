// What a PROXY header says, of either version.
import type { ProxyTlvs } from "./proxy-tlvs.ts"

/** One end of a connection. IPv4 uses `a` alone, IPv6 has four words, most significant first. */
export interface ProxyAddress {
  readonly family: "IPv4" | "IPv6"
  readonly a: number
  readonly b: number
  readonly c: number
  readonly d: number
  readonly port: number
}

export interface ProxyHeader {
  readonly version: 1 | 2
  /** `local`: the sender's own connection, on nobody's behalf, like a health check. */
  readonly command: "proxy" | "local"
  /** `unspecified`: the sender does not say who its client is. */
  readonly family: "IPv4" | "IPv6" | "unix" | "unspecified"
  /** The client, as the sender sees it; `undefined` where there is no address, or none that counts. */
  readonly source: ProxyAddress | undefined
  /** Where the client connected to. */
  readonly destination: ProxyAddress | undefined
  /** The ends of a unix connection. */
  readonly paths: { readonly source: string; readonly destination: string } | undefined
  /** What is said beside the addresses: nothing in version 1, and in a `local` header. */
  readonly tlvs: ProxyTlvs
  /** How many bytes it has; the client's own follow. */
  readonly length: number
}

/** Why bytes that began as a PROXY header are none. */
export interface ProxyInvalid {
  readonly error:
    | "malformed"
    /** A line of more than 107 bytes. */
    | "too-long"
    /** The CRC32c that it carries is not its own. */
    | "checksum"
  /** One line for the log. */
  readonly detail: string
}

export function invalid(error: ProxyInvalid["error"], detail: string): ProxyInvalid {
  return { error, detail }
}
