// What policies log about one connection, bounded, so that no policy can make an event grow without end.
import { describe } from "./describe.ts"

/** 4 KiB of JSON per connection: an event is a line in a log. */
export const LOG_LIMIT = 4096

const encoder = new TextEncoder()

/** The fields of `connection.log(...)` of one connection, in the order of the calls. */
export class LogFields {
  private readonly sets: Record<string, unknown>[] = []
  private bytes = 0

  /**
   * Keeps a copy of the fields as JSON sees them. The set that goes over {@link LOG_LIMIT}, and all after it, are
   * dropped, and `{ truncated: true }` is in their place.
   * @throws TypeError for what is no object of fields, or not JSON (a cycle, a bigint)
   */
  add(fields: Record<string, unknown>): void {
    const json = typeof fields === "object" ? JSON.stringify(fields) : undefined
    if (json === undefined || !json.startsWith("{"))
      throw new TypeError(`log: expected an object of fields, like { user: "ana" }, found ${describe(fields)}`)
    const fitted = this.bytes <= LOG_LIMIT
    this.bytes += encoder.encode(json).length
    if (this.bytes <= LOG_LIMIT) this.sets.push(JSON.parse(json))
    else if (fitted) this.sets.push({ truncated: true })
  }

  all(): readonly Record<string, unknown>[] {
    return this.sets
  }
}
