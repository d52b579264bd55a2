// TLS alerts for a client whose handshake never starts: records of plain text, the same seven bytes for every version.

/** RFC 8446 section 6.2; `unrecognized_name` is of RFC 6066 section 3, `no_application_protocol` of RFC 7301 section 3.2. */
const DESCRIPTIONS = {
  handshake_failure: 40,
  access_denied: 49,
  decode_error: 50,
  protocol_version: 70,
  internal_error: 80,
  unrecognized_name: 112,
  no_application_protocol: 120,
} as const

/** What an alert says. */
export type Alert = keyof typeof DESCRIPTIONS

const RECORD_TYPE = 21
const FATAL = 2

/**
 * A fatal alert. Its record says TLS 1.2, as every record of TLS 1.3 does (RFC 8446 section 5.1), and clients of older
 * versions take it: none is agreed on yet.
 */
export function alert(description: Alert): Uint8Array {
  return Uint8Array.of(RECORD_TYPE, 3, 3, 0, 2, FATAL, DESCRIPTIONS[description])
}
