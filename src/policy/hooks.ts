// What parts of the gateway ask of a connection, and what its policies do not see.
import type { Ip } from "./address.ts"
import type { Geo } from "./geo.ts"

/** Calls back once, when the connection has ended; at once when it has ended already. */
export const WHEN_CLOSED: unique symbol = Symbol.for("tidegate.whenClosed") as never

/** Where the client's address is registered; `undefined` where no database knows it. @throws GeoUnavailable */
export const WHERE: unique symbol = Symbol.for("tidegate.where") as never

/** The client's address as numbers; `undefined` on a unix listener. */
export const ADDRESS: unique symbol = Symbol.for("tidegate.address") as never

export interface Hooks {
  readonly [ADDRESS]: Ip | undefined
  [WHEN_CLOSED](then: () => void): void
  [WHERE](): Geo | undefined
}
