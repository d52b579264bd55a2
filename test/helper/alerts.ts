// TLS alerts of plain text, as they come over the wire.

const NAMES: Readonly<Record<number, string>> = {
  40: "handshake_failure",
  49: "access_denied",
  50: "decode_error",
  70: "protocol_version",
  80: "internal_error",
  112: "unrecognized_name",
  120: "no_application_protocol",
}

/** The name of the fatal alert that these bytes are; what else they are, as text. */
export function alertIn(bytes: Uint8Array): string {
  const [type, major, , high, low, level, description] = bytes
  const isAlert = bytes.length === 7 && type === 21 && major === 3 && high === 0 && low === 2 && level === 2
  return isAlert ? (NAMES[description!] ?? `alert ${description}`) : new TextDecoder().decode(bytes)
}
