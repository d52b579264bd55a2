// Identities without certificates, for what looks at their names and dates only.
import type { Identity } from "../../src/tls/identity.ts"

export const DAY = 24 * 60 * 60 * 1000

export interface Traits {
  readonly names?: readonly string[]
  readonly addresses?: readonly string[]
  readonly algorithm?: Identity["algorithm"]
  /** Milliseconds since the epoch. */
  readonly from?: number
  readonly until?: number
}

export function identity(file: string, traits: Traits = {}): Identity {
  return {
    id: `id of ${file}`,
    file,
    cert: "",
    key: "",
    names: traits.names ?? [],
    addresses: traits.addresses ?? [],
    algorithm: traits.algorithm ?? "ecdsa",
    subject: "",
    issuer: "",
    serial: "",
    notBefore: new Date(traits.from ?? 0),
    notAfter: new Date(traits.until ?? 1000 * DAY),
    fingerprint: "",
  }
}
