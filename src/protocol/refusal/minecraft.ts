// Minecraft, Java edition: what a client is shown that joins, or that lists the server (minecraft.wiki, "Java Edition
// protocol" and "Server List Ping").
import { line } from "./line.ts"
import { be16, packet, variable } from "./packet.ts"

/** Of the login state, and of the status state. */
const DISCONNECT = 0
const STATUS_RESPONSE = 0
const KICK = 0xff
/** 256 characters: what a client of 1.6 takes. */
const LONGEST_KICK = 256

/** The text on the screen of a player who joins. A text component in JSON, also where later states have NBT. */
export function disconnect(reason: string | undefined): Uint8Array {
  return framed(DISCONNECT, JSON.stringify({ text: line(reason) }))
}

/** The reason in the server list, in the version of the client so that it is not covered by a warning. */
export function status(reason: string | undefined, protocol: number): Uint8Array {
  const answer = {
    version: { name: "Tidegate", protocol },
    players: { max: 0, online: 0 },
    description: { text: line(reason) },
  }
  return framed(STATUS_RESPONSE, JSON.stringify(answer))
}

/** The same for the server list of 1.6: fields in UTF-16, with zero characters between them. */
export function legacyStatus(reason: string | undefined, protocol: number): Uint8Array {
  const fields = (text: string) => ["\u00a71", protocol, "Tidegate", text, 0, 0].join("\0")
  const text = fields(cut(line(reason), LONGEST_KICK - fields("").length))
  return packet(
    [KICK],
    be16(text.length),
    Array.from({ length: text.length }, (_, i) => be16(text.charCodeAt(i))).flat(),
  )
}

/** Without half of a character at its end. */
function cut(text: string, longest: number): string {
  return text.slice(0, longest).replace(/[\ud800-\udbff]$/, "")
}

/** Length, id, and a text with its length in front. */
function framed(id: number, text: string): Uint8Array {
  const bytes = packet(text)
  const body = packet([id], variable(bytes.length), bytes)
  return packet(variable(body.length), body)
}
