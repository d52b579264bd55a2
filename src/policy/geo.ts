// Where a client comes from, by databases of address ranges.
import type { Connection } from "./connection.ts"
import { describe } from "./describe.ts"
import { WHERE, type Hooks } from "./hooks.ts"

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

/** What `geo` throws: there is no database, it cannot be read, or it was not asked about a connection. */
export class GeoUnavailable extends Error {
  override readonly name = "GeoUnavailable"
}

/** What is said where a policy wants to know and there is no database. */
export const NO_DATABASE = "geo() needs a database: start with --geoip FOLDER (MaxMind's *.mmdb files)"

/** Nothing is known, as of private addresses. */
export const NOWHERE: Geo = Object.freeze({
  country: undefined,
  continent: undefined,
  city: undefined,
  asn: undefined,
  organisation: undefined,
})

/**
 * Where the client's address is registered, by the databases that `--geoip` names: `geo(connection).country`. Fields that
 * no database knows are `undefined`: all of them for a private address, and for the client of a unix listener. A policy
 * that imports `geo` is not loaded where there is no database; in a test the fact `geo` says what it tells.
 * @throws GeoUnavailable
 */
export function geo(connection: Connection): Geo {
  if (!tellsWhere(connection))
    throw new GeoUnavailable(`geo: expected the connection that on_tcp_connect is given, found ${describe(connection)}`)
  return connection[WHERE]() ?? NOWHERE
}

function tellsWhere(value: unknown): value is Pick<Hooks, typeof WHERE> {
  return typeof value === "object" && value !== null && WHERE in value && typeof value[WHERE] === "function"
}
