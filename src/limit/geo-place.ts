// What databases of MaxMind's format know of a place beside what geo() tells. Fields that are not in a record, or are of
// another kind than they should be, are `undefined`.

/** A country, as it is written in one part of a record. */
export interface GeoCountry {
  /** English: `"Europe"`. */
  readonly continent: string | undefined
  /** English: `"Germany"`. */
  readonly country: string | undefined
  /** ISO 3166-1: `"DE"`. */
  readonly countryCode: string | undefined
  readonly isEu: boolean | undefined
}

export interface GeoPlace extends GeoCountry {
  readonly city: string | undefined
  /** English, the largest one: `"Bavaria"`. */
  readonly subdivision: string | undefined
  readonly postalCode: string | undefined
  readonly metroCode: number | undefined
  /** `"Europe/Berlin"` */
  readonly timezone: string | undefined
  /** Degrees. */
  readonly latitude: number | undefined
  readonly longitude: number | undefined
  /** Kilometres around the point. */
  readonly radius: number | undefined
  readonly asn: number | undefined
  readonly organisation: string | undefined
  /** Where the operator registered the address. */
  readonly registered: GeoCountry | undefined
}
