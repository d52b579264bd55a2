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

/** What a record says of a place. */
export function placeIn(record: unknown): GeoPlace {
  const traits = at(record, "traits")
  const location = at(record, "location")
  return {
    ...countryIn(record, "country"),
    city: nameIn(at(record, "city")),
    subdivision: nameIn(first(at(record, "subdivisions"))),
    postalCode: text(at(at(record, "postal"), "code")),
    metroCode: number(at(location, "metro_code")),
    timezone: text(at(location, "time_zone")),
    latitude: number(at(location, "latitude")),
    longitude: number(at(location, "longitude")),
    radius: number(at(location, "accuracy_radius")),
    asn: number(at(record, "autonomous_system_number") ?? at(traits, "autonomous_system_number")),
    organisation: text(at(record, "autonomous_system_organization") ?? at(traits, "autonomous_system_organization")),
    registered: at(record, "registered_country") === undefined ? undefined : countryIn(record, "registered_country"),
  }
}

/** What several databases know together: later ones add what earlier ones do not have. */
export function mergedPlaces(places: readonly (GeoPlace | undefined)[]): GeoPlace | undefined {
  const known = places.filter((place) => place !== undefined)
  if (known.length < 2) return known[0]
  const entries = known
    .toReversed()
    .flatMap((place) => Object.entries(place).filter(([, value]) => value !== undefined))
  return Object.assign(placeIn(undefined), Object.fromEntries(entries))
}

function countryIn(record: unknown, name: "country" | "registered_country"): GeoCountry {
  const country = at(record, name)
  const isEu = at(country, "is_in_european_union")
  const isKnown = country !== undefined
  return {
    // A record has one continent: that of the place.
    continent: name === "country" ? nameIn(at(record, "continent")) : undefined,
    country: nameIn(country),
    countryCode: text(at(country, "iso_code")),
    // It is written where it is true.
    isEu: typeof isEu === "boolean" ? isEu : isKnown ? false : undefined,
  }
}

function nameIn(place: unknown): string | undefined {
  return text(at(at(place, "names"), "en"))
}

function first(list: unknown): unknown {
  return Array.isArray(list) ? list[0] : undefined
}

/** A value of a record; `undefined` for what has none. */
export function at(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined
}

export function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined
}

export function number(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined
}
