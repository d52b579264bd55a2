// The parts of a certificate's subject or issuer, from its text as RFC 4514 writes it.

export interface NameParts {
  readonly common_name: string
  readonly country: readonly string[]
  readonly locality: readonly string[]
  readonly organization: readonly string[]
  readonly organizational_unit: readonly string[]
  readonly postal_code: readonly string[]
  readonly province: readonly string[]
  readonly street_address: readonly string[]
}

/** The parts that are lists. */
export const LISTED = [
  "country",
  "locality",
  "organization",
  "organizational_unit",
  "postal_code",
  "province",
  "street_address",
] as const

/** As RFC 4514 section 3 and OpenSSL name them, in lower case. */
const KEYS: Readonly<Record<string, keyof NameParts>> = {
  c: "country",
  cn: "common_name",
  l: "locality",
  o: "organization",
  ou: "organizational_unit",
  postalcode: "postal_code",
  st: "province",
  street: "street_address",
  streetaddress: "street_address",
}

/** Reads `CN=amy,OU=db,O=Example`: of several names the last written is the common name, as it is the most specific. */
export function nameParts(text: string): NameParts {
  const lists: Record<(typeof LISTED)[number], string[]> = {
    country: [],
    locality: [],
    organization: [],
    organizational_unit: [],
    postal_code: [],
    province: [],
    street_address: [],
  }
  let commonName: string | undefined
  for (const part of split(text)) {
    const equals = part.indexOf("=")
    const key = KEYS[part.slice(0, equals).trim().toLowerCase()]
    if (equals < 0 || key === undefined) continue
    const value = unescape(part.slice(equals + 1))
    // RFC 4514 writes the most specific one first.
    if (key === "common_name") commonName ??= value
    else lists[key].push(value)
  }
  return { common_name: commonName ?? "", ...lists }
}

/** At commas and plus signs that are not escaped. */
function split(text: string): string[] {
  const parts: string[] = []
  let from = 0
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "\\") at++
    else if (text[at] === "," || text[at] === "+") {
      parts.push(text.slice(from, at))
      from = at + 1
    }
  }
  if (from < text.length) parts.push(text.slice(from))
  return parts
}

/** `\,` is a comma; `\C3\A4` are bytes of UTF-8. */
function unescape(text: string): string {
  return text.replaceAll(/(?:\\[0-9a-f]{2})+|\\(.)/gi, (escaped: string, one: string | undefined) =>
    one !== undefined && !/^\\[0-9a-f]{2}/i.test(escaped)
      ? one
      : Buffer.from(escaped.replaceAll("\\", ""), "hex").toString("utf8"),
  )
}
