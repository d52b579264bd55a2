// Where a client comes from, by databases of address ranges.

/** What the databases know of an address; `undefined` for what they do not. */
export interface Geo {
  /** ISO 3166-1: `"DE"`. */
  readonly country: string | undefined
  /** `"EU"`. */
  readonly continent: string | undefined
  /** English: `"Munich"`. */
  readonly city: string | undefined
  /** Number of the autonomous system: 3320. */
  readonly asn: number | undefined
  /** Whose autonomous system it is. */
  readonly organisation: string | undefined
}
