// PEM: the blocks of a text (RFC 7468). What stands around them is left alone, what is in them is not looked into.

export interface PemBlock {
  /** Like `CERTIFICATE`. */
  readonly label: string
  readonly der: Buffer
  /** Encrypted in the way of before PKCS#8, by headers in the block. */
  readonly encrypted: boolean
}

/** A text that is no PEM: cut off, or damaged. */
export class PemInvalid extends Error {
  override readonly name = "PemInvalid"
}

const BEGIN = "-----BEGIN "
const END = "-----END "
const DASHES = "-----"
/** Labels are a few words; a longer one is something else. */
const LONGEST_LABEL = 64

/** @throws PemInvalid */
export function pemBlocks(text: string): readonly PemBlock[] {
  const blocks: PemBlock[] = []
  for (let at = text.indexOf(BEGIN); at >= 0;) {
    const label = labelAt(text, at + BEGIN.length)
    const body = at + BEGIN.length + label.length + DASHES.length
    const end = text.indexOf(END, body)
    const next = text.indexOf(BEGIN, body)
    if (end < 0 || (next >= 0 && next < end) || !text.startsWith(label + DASHES, end + END.length))
      throw new PemInvalid(`a "BEGIN ${label}" without its "END ${label}": is the file written completely?`)
    blocks.push(block(label, text.slice(body, end)))
    at = next
  }
  return blocks
}

function labelAt(text: string, at: number): string {
  const line = text.slice(at, at + LONGEST_LABEL + DASHES.length)
  const label = /^([A-Z0-9 .-]*?)-----/.exec(line)?.[1]
  if (label === undefined) throw new PemInvalid('a line starts with "-----BEGIN " and goes on in no known way')
  return label
}

function block(label: string, body: string): PemBlock {
  // Headers, as old encrypted keys have them, end at an empty line (RFC 1421 section 4.4).
  const [, headers = "", base64 = ""] = /^\s*((?:[\w-]+:[^\n]*\n(?:[ \t][^\n]*\n)*)*)([^]*)$/.exec(body)!
  const digits = base64.replaceAll(/\s/g, "")
  if (digits === "" || !/^[A-Za-z0-9+/]+={0,2}$/.test(digits))
    throw new PemInvalid(`what is in "BEGIN ${label}" is not base64`)
  return { label, der: Buffer.from(digits, "base64"), encrypted: /\bENCRYPTED\b/.test(headers) }
}
