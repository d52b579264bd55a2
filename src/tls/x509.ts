// What a certificate says, read from the texts that node:crypto makes of it. These escape whatever could be taken for
// the end of a value (CVE-2021-44532): a value with a comma, a quote or a control character is a JSON string.
import type { X509Certificate } from "node:crypto"
import { formatIp, parseIp } from "../policy/address.ts"
import type { AlternativeNames } from "../policy/client-certificate.ts"

/** A certificate that cannot be understood, and so is not used. */
export class CertificateInvalid extends Error {
  override readonly name = "CertificateInvalid"
}

/** The object identifier of subjectAltName (2.5.29.17) in DER. */
const SAN_OID = Buffer.from("0603551d11", "hex")
const KINDS: Readonly<Record<string, keyof AlternativeNames>> = {
  DNS: "dns",
  "IP Address": "ip",
  email: "email",
  URI: "uri",
}

/**
 * The first `most` alternative names; `undefined` when the certificate has none. What is not an address in an IP name
 * is left out.
 * @throws CertificateInvalid
 */
export function alternativeNames(certificate: X509Certificate, most: number): AlternativeNames | undefined {
  const text = certificate.subjectAltName
  const { raw } = certificate
  const first = raw.indexOf(SAN_OID)
  if (text === undefined && first < 0) return undefined
  // BoringSSL shows an extension that it cannot read like none, and of two the first one.
  if (text === undefined || raw.includes(SAN_OID, first + 1)) return failed()
  return parseAlternativeNames(text, most)
}

/** Reads the text form, like `DNS:a.example, URI:"http://x/\u002c"`. @throws CertificateInvalid */
export function parseAlternativeNames(text: string, most: number): AlternativeNames {
  const found = { dns: [] as string[], ip: [] as string[], email: [] as string[], uri: [] as string[] }
  const entry = /([A-Za-z0-9 ]+):([^",]*)("(?:[^"\\]|\\.)*")?(?:, (?!$)|$)/y
  for (let count = 0; count < most && entry.lastIndex < text.length; count++) {
    const [, label = "", plain = "", quoted] = entry.exec(text) ?? failed()
    const kind = KINDS[label]
    if (kind === undefined) continue
    if (quoted !== undefined && plain !== "") failed()
    const value = quoted === undefined ? plain : unquote(quoted)
    const ip = kind === "ip" ? parseIp(value) : undefined
    if (ip !== undefined) found.ip.push(formatIp(ip))
    else if (kind !== "ip") found[kind].push(value)
  }
  return found
}

function unquote(text: string): string {
  try {
    return JSON.parse(text) as string
  } catch {
    return failed()
  }
}

function failed(): never {
  throw new CertificateInvalid("the subject alternative names of the certificate cannot be read")
}

/**
 * A name in RFC 4514 form, from node's: one line for each part, in the order of the certificate. In both forms a `+`,
 * a comma or a line break of a value is escaped. Attributes without a short name are `OID=text`.
 */
export function distinguishedName(lines: string | undefined): string {
  return parts(lines)
    .map((attributes) => attributes.join("+"))
    .join(",")
}

/** The last common name, without escapes. */
export function commonName(lines: string | undefined): string | undefined {
  const found = parts(lines)
    .flat()
    .find((attribute) => attribute.startsWith("CN="))
  return found
    ?.slice(3)
    .replaceAll(/\\(?:([0-9A-F]{2})|(.))/gs, (_, hex?: string, char?: string) =>
      hex === undefined ? char! : String.fromCharCode(Number.parseInt(hex, 16)),
    )
}

/** RFC 4514 starts with the last part; so does OpenSSL with the attributes of a part that has several. */
function parts(lines = ""): string[][] {
  if (lines === "") return []
  return lines
    .split("\n")
    .map((line) => line.split(" + ").toReversed())
    .toReversed()
}
