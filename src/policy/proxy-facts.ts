// What a load balancer says of a client by its PROXY header, as a policy sees it.
import type { ProxyHeader, ProxySsl, ProxyTlvs, Tlv } from "../protocol/proxy-header.ts"

export type { ProxySsl, Tlv }

/** What the PROXY header of a load balancer says, beside `connection.client` and `connection.server`. */
export interface ProxyFacts extends Omit<ProxyTlvs, "list"> {
  readonly version: 1 | 2
  /** `local`: the load balancer's own connection, on nobody's behalf, like a health check; it is the client itself. */
  readonly command: "proxy" | "local"
  /** The ends of the client's connection where that is a unix socket. */
  readonly paths: { readonly source: string; readonly destination: string } | undefined
  /** Everything that a header of version 2 says beside the addresses, by its number, in order. */
  readonly tlvs: readonly Tlv[]
}

export function proxyFacts({ command, paths, tlvs, version }: ProxyHeader): ProxyFacts {
  const { alpn, authority, netns, ssl, uniqueId } = tlvs
  return {
    version,
    command,
    alpn,
    authority,
    uniqueId,
    ssl,
    netns,
    paths,
    get tlvs() {
      return tlvs.list
    },
  }
}
