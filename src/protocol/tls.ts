// TLS: the whole ClientHello, also where another protocol's port speaks TLS from the first byte.
import { parseClientHello, type ClientHello } from "./client-hello.ts"

/** A client that starts TLS. */
export interface Tls {
  readonly protocol: "tls"
  readonly hello: ClientHello
}

/** A hello that is invalid names no protocol; {@link parseClientHello} says why it is. */
export function tls(bytes: Uint8Array): Tls | "more" | undefined {
  const hello = parseClientHello(bytes)
  if (hello === undefined || hello === "more") return hello
  return "error" in hello ? undefined : { protocol: "tls", hello }
}
