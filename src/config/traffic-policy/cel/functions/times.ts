// Parts of times, in UTC or in the time zone that is named. The library's go through the zone of this machine, which has
// hours that do not exist.
import { celFunc, celMethod, CelScalar, objectType, type CelFunc } from "@bufbuild/cel"
import { timestampMs, TimestampSchema, type Timestamp } from "@bufbuild/protobuf/wkt"
import { Recent } from "../../../../limit/recent.ts"
import { spend } from "../bounds.ts"
import { timestampOf } from "../value.ts"
import { Refused } from "./refused.ts"

const { INT, STRING } = CelScalar
const TIMESTAMP = objectType(TimestampSchema)

/** 200 names, twice: there are some 400 zones, and each takes 20 KB. */
const REMEMBERED = 200
const formats = new Recent<string, Intl.DateTimeFormat>(REMEMBERED)

/** A time whose UTC is what clocks show in the zone. */
function inZone(time: Timestamp, zone: string | undefined): Date {
  const at = timestampMs(time)
  if (zone === undefined || zone === "UTC") return new Date(at)
  const offset = /^([+-]?)(\d\d):(\d\d)$/.exec(zone)
  if (offset !== null) {
    const minutes = Number(offset[2]) * 60 + Number(offset[3])
    return new Date(at + (offset[1] === "-" ? -minutes : minutes) * 60_000)
  }
  const parts = Object.fromEntries(
    formatOf(zone)
      .formatToParts(at)
      .map(({ type, value }) => [type, Number(value)]),
  )
  const { day = 1, hour = 0, minute = 0, month = 1, second = 0, year = 0 } = parts
  const shown = new Date(0)
  shown.setUTCFullYear(year, month - 1, day)
  shown.setUTCHours(hour, minute, second, ((at % 1000) + 1000) % 1000)
  return shown
}

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone)
  if (format === undefined) {
    // Most of what takes time in a policy that asks for the time.
    spend(1000 + zone.length)
    try {
      format = new Intl.DateTimeFormat("en-US", {
        calendar: "gregory",
        day: "numeric",
        hour: "numeric",
        hourCycle: "h23",
        minute: "numeric",
        month: "numeric",
        second: "numeric",
        timeZone: zone,
        year: "numeric",
      })
    } catch {
      // The engine's message quotes what it was given.
      throw new Refused("it is no time zone: expected a name like 'Europe/Berlin' or an offset like '+02:00'")
    }
    formats.set(zone, format)
  }
  return format
}

/** @throws Refused for what is no time zone */
export function checkZone(zone: string): void {
  inZone(timestampOf(0), zone)
}

const DAY = 24 * 60 * 60 * 1000

const PARTS: Readonly<Record<string, (date: Date) => number>> = {
  getDate: (date) => date.getUTCDate(),
  getDayOfMonth: (date) => date.getUTCDate() - 1,
  getDayOfWeek: (date) => date.getUTCDay(),
  getDayOfYear: (date) => {
    const first = new Date(0)
    first.setUTCFullYear(date.getUTCFullYear(), 0, 1)
    return Math.floor((date.getTime() - first.getTime()) / DAY)
  },
  getFullYear: (date) => date.getUTCFullYear(),
  getHours: (date) => date.getUTCHours(),
  getMilliseconds: (date) => date.getUTCMilliseconds(),
  getMinutes: (date) => date.getUTCMinutes(),
  getMonth: (date) => date.getUTCMonth(),
  getSeconds: (date) => date.getUTCSeconds(),
}

export const TIMES: readonly CelFunc[] = [
  ...Object.entries(PARTS).flatMap(([name, part]) => [
    celMethod(name, TIMESTAMP, [], INT, function () {
      return BigInt(part(inZone(this.message, undefined)))
    }),
    celMethod(name, TIMESTAMP, [STRING], INT, function (zone) {
      return BigInt(part(inZone(this.message, zone)))
    }),
  ]),
  // Seconds, as the specification says.
  celFunc("timestamp", [INT], TIMESTAMP, (seconds) => {
    if (seconds > 253402300799n || seconds < -62135596800n)
      throw new Refused("timestamp: the year is not between 1 and 9999")
    return timestampOf(Number(seconds) * 1000)
  }),
]
