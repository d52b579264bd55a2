// One database of MaxMind's format: read as a whole, looked at closely before it is used, and asked by address. What it
// says is taken for what it is: the kind of each value is checked.
import { Buffer } from "node:buffer"
import type { BigIntStats } from "node:fs"
import { open } from "node:fs/promises"
import { Reader } from "maxmind"
import { formatIp, ipv4, type Ip } from "../policy/address.ts"
import { GeoUnavailable, type Geo } from "../policy/geo.ts"
import { shownPath } from "./address-list.ts"
import { isFresh, settled, signature } from "./file-signature.ts"
import type { FileVersion } from "./followed-file.ts"
import { at, number, placeIn, text, type GeoPlace } from "./geo-place.ts"
import { Recent } from "./recent.ts"
import { whyUnreadable } from "./unreadable.ts"

/** A file is no database that `geo` could use. */
export class GeoDatabaseInvalid extends Error {
  override readonly name = "GeoDatabaseInvalid"
  /** Absolute. */
  readonly path: string
  /** The message without the path. */
  readonly reason: string

  constructor(path: string, reason: string) {
    super(`${shownPath(path)}: ${reason}`)
    this.path = path
    this.reason = reason
  }
}

/** A version of a database's file. */
export interface GeoRead extends FileVersion {
  /** `undefined` before the first good version. */
  readonly database: GeoDatabase | undefined
}

/** 1 GiB: it is held in memory; the largest of MaxMind's has half of that. */
const LARGEST = 1024 * 1024 * 1024
/** 128 KiB at the end of the file have the metadata, as the format says. */
const METADATA = 128 * 1024
const MARKER = Buffer.from("\xab\xcd\xefMaxMind.com", "latin1")
/** 16 zero bytes stand between the tree and the data. */
const SEPARATOR = 16
/** What `geo` tells is in databases of these types: `GeoLite2-City`, `GeoIP2-ISP`, `DBIP-ASN-Lite`. */
const USEFUL = /city|country|enterprise|asn|isp/i
/** 2,048 decoded values, twice (some megabytes): names and countries are in most records, and decoding them takes most of a look-up. */
const DECODED = 2048
/** 256 addresses of each family, spread over all that are given out, are looked up before a database is used. */
const TRIED = 256

/** Reads a database. @throws GeoDatabaseInvalid */
export async function readGeoDatabase(path: string): Promise<GeoRead> {
  await settled(path)
  const startedAt = Date.now()
  try {
    await using file = await open(path)
    const before = await file.stat({ bigint: true })
    checkFile(path, before)
    const bytes = await file.readFile()
    if (signature(await file.stat({ bigint: true })) !== signature(before))
      throw new GeoDatabaseInvalid(path, "it changed while it was read")
    const database = new GeoDatabase(path, bytes)
    return { database, signature: signature(before), unsure: isFresh(before, startedAt) }
  } catch (error) {
    if (error instanceof GeoDatabaseInvalid) throw error
    throw new GeoDatabaseInvalid(path, whyUnreadable(error))
  }
}

function checkFile(path: string, stat: BigIntStats): void {
  if (!stat.isFile()) throw new GeoDatabaseInvalid(path, "cannot be read: it is not a file")
  if (stat.size > LARGEST) throw new GeoDatabaseInvalid(path, `${stat.size} bytes; a database has at most ${LARGEST}`)
}

export class GeoDatabase {
  readonly path: string
  /** What it is of, as it says itself: `GeoLite2-City`. */
  readonly type: string
  readonly builtAt: Date
  /** Read in one piece, and untouched from then on. */
  private readonly reader: Reader<object>
  private readonly ipv4Only: boolean

  /** @throws GeoDatabaseInvalid */
  constructor(path: string, bytes: Buffer) {
    this.path = path
    // Found here, the reader finds it at once: without one it would look through the whole file.
    const end = bytes.subarray(-METADATA)
    const marker = end.lastIndexOf(MARKER)
    if (marker < 0) throw new GeoDatabaseInvalid(path, "it is no MaxMind database (*.mmdb), or only a part of one")
    try {
      this.reader = new Reader(bytes, { cache: new Recent<number | string, unknown>(DECODED) })
    } catch (error) {
      throw this.invalid("its metadata cannot be read", error)
    }
    const { binaryFormatMajorVersion, buildEpoch, databaseType, ipVersion, nodeCount, searchTreeSize } =
      this.reader.metadata
    if (binaryFormatMajorVersion !== 2)
      throw this.invalid(`version ${String(binaryFormatMajorVersion)} of the format is not known`)
    const dataAt = searchTreeSize + SEPARATOR
    const dataEnd = bytes.length - end.length + marker
    const isWhole = Number.isSafeInteger(nodeCount) && nodeCount > 0 && dataAt <= dataEnd
    if (
      !isWhole ||
      (ipVersion !== 4 && ipVersion !== 6) ||
      bytes.subarray(searchTreeSize, dataAt).some((byte) => byte !== 0)
    )
      throw this.invalid("its metadata does not fit its size")
    if (typeof databaseType !== "string" || !USEFUL.test(databaseType))
      throw new GeoDatabaseUseless(path, String(databaseType))
    this.type = databaseType
    this.builtAt = Number.isNaN(buildEpoch.getTime()) ? new Date(0) : buildEpoch
    this.ipv4Only = ipVersion === 4
    this.tryOut()
  }

  /** What it knows of an address. @throws GeoUnavailable when it turns out to be broken */
  lookUp(ip: Ip): Geo | undefined {
    try {
      return this.find(ip)
    } catch (error) {
      throw new GeoUnavailable(this.invalid(`the look-up of ${formatIp(ip)} failed`, error).message, { cause: error })
    }
  }

  /** All that it knows of an address and `geo` does not tell. @throws GeoUnavailable when it turns out to be broken */
  place(ip: Ip): GeoPlace | undefined {
    try {
      const record = this.record(ip)
      return record === undefined ? undefined : placeIn(record)
    } catch (error) {
      throw new GeoUnavailable(this.invalid(`the look-up of ${formatIp(ip)} failed`, error).message, { cause: error })
    }
  }

  private record(ip: Ip): unknown {
    // The reader would follow the first bits of any address.
    if (this.ipv4Only && ip.family === "IPv6") return undefined
    return this.reader.get(formatIp(ip)) ?? undefined
  }

  private find(ip: Ip): Geo | undefined {
    const record = this.record(ip)
    if (record === undefined) return undefined
    const traits = at(record, "traits")
    return {
      country: text(at(at(record, "country"), "iso_code")),
      continent: text(at(at(record, "continent"), "code")),
      city: text(at(at(at(record, "city"), "names"), "en")),
      asn: number(at(record, "autonomous_system_number") ?? at(traits, "autonomous_system_number")),
      organisation: text(at(record, "autonomous_system_organization") ?? at(traits, "autonomous_system_organization")),
    }
  }

  private tryOut(): void {
    const step = 2 ** 32 / TRIED
    try {
      for (let i = 0; i < TRIED; i++) {
        this.find(ipv4(i * step + i))
        // 2000::/3
        this.find({ family: "IPv6", a: 0x20000000 + (i * step) / 8, b: i, c: 0, d: 1 })
      }
    } catch (error) {
      throw this.invalid("it is broken", error)
    }
  }

  private invalid(message: string, error?: unknown): GeoDatabaseInvalid {
    const why = error === undefined ? "" : `: ${error instanceof Error ? error.message : String(error)}`
    return new GeoDatabaseInvalid(this.path, `${message}${why}; is the file whole?`)
  }
}

/** A database of something else, such as of anonymous addresses. */
export class GeoDatabaseUseless extends GeoDatabaseInvalid {
  constructor(path: string, type: string) {
    super(
      path,
      `geo() tells nothing of what ${JSON.stringify(type)} has: City, Country, Enterprise, ASN and ISP are of use`,
    )
  }
}
