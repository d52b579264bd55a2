// Names of application protocols (RFC 7301).

/** What PostgreSQL clients offer, and insist on where they start TLS without asking. */
export const POSTGRES_ALPN: readonly string[] = ["postgresql"]

const encoder = new TextEncoder()

/** Names in wire form: each behind its length (section 3.1). */
export function alpnWire(names: readonly string[] | undefined): Uint8Array | undefined {
  return names === undefined
    ? undefined
    : encoder.encode(names.map((name) => String.fromCharCode(name.length) + name).join(""))
}
