// BitTorrent: the handshake between peers (BEP 3). Encrypted handshakes look like noise and are not recognised.
import { begins, hex } from "./bytes.ts"

/** The handshake of a BitTorrent peer. */
export interface Bittorrent {
  readonly protocol: "bittorrent"
  /** Which torrent, in lower-case hexadecimal. */
  readonly infoHash: string
}

const START = "\x13BitTorrent protocol"
/** Behind 8 reserved bytes. */
const HASH = START.length + 8

export function bittorrent(bytes: Uint8Array): Bittorrent | "more" | undefined {
  const start = begins(bytes, START)
  if (start !== true) return start || undefined
  if (bytes.length < HASH + 20) return "more"
  return { protocol: "bittorrent", infoHash: hex(bytes, HASH, HASH + 20) }
}
