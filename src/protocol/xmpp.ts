// XMPP: the opening tag of a client's or a server's stream (RFC 6120 section 4.7).
import { begins, utf8 } from "./bytes.ts"

/** The opening of an XMPP stream. */
export interface Xmpp {
  readonly protocol: "xmpp"
  /** The domain that the client wants, in lower case. */
  readonly to: string | undefined
  readonly from: string | undefined
  /** Who speaks: a client (`jabber:client`) or another server (`jabber:server`). */
  readonly side: "client" | "server" | undefined
}

/** 4 KiB: an opening tag has some 200 bytes. */
const LONGEST_OPENING = 4096
const STREAMS = "http://etherx.jabber.org/streams"
const DECLARATION = /^<\?xml\s[^<>]*\?>\s*/
const OPENING = /^<stream:stream\s([^<>]*)>/

export function xmpp(bytes: Uint8Array): Xmpp | "more" | undefined {
  const declared = begins(bytes, "<?xml")
  const bare = begins(bytes, "<stream:stream")
  if (declared === false && bare === false) return undefined
  if (declared !== true && bare !== true) return "more"
  const text = utf8(bytes, 0, Math.min(bytes.length, LONGEST_OPENING))
  const rest = text.replace(DECLARATION, "")
  const opening = OPENING.exec(rest)
  if (opening === null) return bytes.length < LONGEST_OPENING && mayOpen(text, rest) ? "more" : undefined
  const attributes = attributesOf(opening[1]!)
  if (attributes.get("xmlns:stream") !== STREAMS) return undefined
  const namespace = attributes.get("xmlns")
  const side = namespace === "jabber:client" ? "client" : namespace === "jabber:server" ? "server" : undefined
  return { protocol: "xmpp", to: attributes.get("to")?.toLowerCase(), from: attributes.get("from"), side }
}

/** Whether an opening tag may still come: the declaration is unfinished, or what follows it is a part of the tag. */
function mayOpen(text: string, rest: string): boolean {
  if (rest === text && text.startsWith("<?xml")) return /^<\?xml(\s[^<>]*>?)?$/.test(text) && !/[^?]>/.test(text)
  return rest.length < 14 ? "<stream:stream".startsWith(rest) : /^<stream:stream(\s[^<>]*)?$/.test(rest)
}

const ATTRIBUTE = /\s*([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/y

/** The attributes up to the first that is malformed; of one given twice the first counts. */
function attributesOf(text: string): Map<string, string> {
  const found = new Map<string, string>()
  ATTRIBUTE.lastIndex = 0
  for (let match = ATTRIBUTE.exec(text); match !== null; match = ATTRIBUTE.exec(text)) {
    const [, name, double, single] = match
    if (!found.has(name!)) found.set(name!, double ?? single ?? "")
  }
  return found
}
