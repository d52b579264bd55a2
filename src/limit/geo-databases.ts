// The databases that `--geoip` names: files, and folders with *.mmdb files. Followed as lists are: what is bad is
// reported once, and the last good version stays.
import { existsSync, readdirSync, statSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { setTimeout as later } from "node:timers"
import { formatIp, type Ip } from "../policy/address.ts"
import { NOWHERE, type Geo } from "../policy/geo.ts"
import { shownPath } from "./address-list.ts"
import { FollowedFile, SETTLED, type Kind } from "./followed-file.ts"
import {
  GeoDatabaseInvalid,
  GeoDatabaseUseless,
  readGeoDatabase,
  type GeoDatabase,
  type GeoRead,
} from "./geo-database.ts"
import { mergedPlaces, type GeoPlace } from "./geo-place.ts"
import { linkFolders } from "./link-folders.ts"
import { Recent } from "./recent.ts"

export interface GeoNews {
  info(message: string): void
  warn(message: string): void
  error(message: string): void
}

/** What is wrong with a file or a folder. */
export interface GeoProblem {
  /** Absolute. */
  readonly path: string
  readonly message: string
}

/** What `tidegate status` shows of a database. */
export interface GeoStatus {
  readonly file: string
  readonly type: string
  /** When it was made: ISO 8601. */
  readonly built: string
  /** Why the file that is there now is not used. */
  readonly problem: string | undefined
}

/** 4,096 addresses, twice: clients come back, and a look-up takes 10 microseconds. */
const REMEMBERED = 4096

const DATABASE: Kind<GeoRead> = {
  read: readGeoDatabase,
  isProblem: (error) => error instanceof GeoDatabaseInvalid,
  isDoubtful: () => false,
}
/** No database knows the place. */
const NO_PLACE = Symbol("nowhere")
const NOTHING: GeoRead = { database: undefined, signature: "", unsure: false }

export class GeoDatabases {
  /** As they were named: absolute paths of files and folders. */
  private readonly paths: readonly string[]
  private readonly files = new Map<string, FollowedFile<GeoRead>>()
  private databases: readonly GeoDatabase[] = []
  private recent = new Recent<number | string, Geo>(REMEMBERED)
  private recentPlaces = new Recent<number | string, GeoPlace | typeof NO_PLACE>(REMEMBERED)
  private due = false
  private looking: Promise<void> | undefined

  private constructor(paths: readonly string[]) {
    this.paths = paths.map((path) => resolve(path))
  }

  /** Reads all of them; `problems` say what is wrong with those that cannot be used, and `ignored` which are of no use. */
  static async open(paths: readonly string[]): Promise<{
    readonly databases: GeoDatabases
    readonly problems: readonly GeoProblem[]
    readonly ignored: readonly GeoProblem[]
  }> {
    const databases = new GeoDatabases(paths)
    const problems: GeoProblem[] = []
    const ignored: GeoProblem[] = []
    for (const path of databases.paths) {
      const files = listed(path)
      const before = databases.files.size
      for (const file of files ?? [path]) {
        const followed = new FollowedFile(file, DATABASE, NOTHING)
        try {
          followed.read = await readGeoDatabase(file)
          databases.files.set(file, followed)
        } catch (error) {
          if (!(error instanceof GeoDatabaseInvalid)) throw error
          const isOfNoUse = files !== undefined && error instanceof GeoDatabaseUseless
          ;(isOfNoUse ? ignored : problems).push({ path: file, message: error.reason })
        }
      }
      if (files !== undefined && databases.files.size === before && problems.length === 0)
        problems.push({ path, message: "there is no *.mmdb file of use in this folder" })
    }
    databases.arrange()
    return { databases, problems, ignored }
  }

  /** What is known of an address; later databases add what earlier ones do not have. @throws GeoUnavailable */
  where(ip: Ip): Geo {
    const key = ip.family === "IPv4" ? ip.a : formatIp(ip)
    const known = this.recent.get(key)
    if (known !== undefined) return known
    const found = this.find(ip)
    this.recent.set(key, found)
    return found
  }

  /** As {@link where}, with all that a traffic policy may ask for. @throws GeoUnavailable */
  place(ip: Ip): GeoPlace | undefined {
    const key = ip.family === "IPv4" ? ip.a : formatIp(ip)
    let found = this.recentPlaces.get(key)
    if (found === undefined) {
      found = mergedPlaces(this.databases.map((database) => database.place(ip))) ?? NO_PLACE
      this.recentPlaces.set(key, found)
    }
    return found === NO_PLACE ? undefined : found
  }

  /** The folders whose changes can change a database, or bring one. */
  folders(): readonly string[] {
    const named = this.paths.map((path) => (listed(path) === undefined ? path : join(path, "any.mmdb")))
    return [...new Set([...named, ...this.files.keys()].flatMap(linkFolders))]
  }

  status(): readonly GeoStatus[] {
    return this.databases.map(({ builtAt, path, type }) => ({
      file: shownPath(path),
      type,
      built: builtAt.toISOString(),
      problem: this.files.get(path)?.problem,
    }))
  }

  /** Looks at the files, and reads again what has changed. */
  look(news: GeoNews): Promise<void> {
    this.due = true
    return (this.looking ??= this.lookAll(news).finally(() => (this.looking = undefined)))
  }

  private async lookAll(news: GeoNews): Promise<void> {
    while (this.due) {
      this.due = false
      for (const path of this.paths.flatMap((path) => listed(path) ?? []))
        if (!this.files.has(path)) this.files.set(path, new FollowedFile(path, DATABASE, NOTHING))
      for (const file of Array.from(this.files.values())) await this.lookAt(file, news)
    }
  }

  private async lookAt(file: FollowedFile<GeoRead>, news: GeoNews): Promise<void> {
    const { path } = file
    const looked = await file.look()
    const {
      problem,
      read: { database },
    } = file
    if (looked === "later") later(() => void this.look(news), SETTLED).unref()
    if (looked === "bad") {
      if (database !== undefined) news.error(`${problem}; the last good version stays (${shown(database)})`)
      else news.warn(`${problem}`)
    }
    // One that came and went before it was good.
    if (database === undefined && !existsSync(path)) this.files.delete(path)
    if (looked !== "good" || database === undefined) return
    this.arrange()
    news.info(`${shownPath(path)}: ${shown(database)}`)
  }

  /** In the order of the paths, and by name in a folder. */
  private arrange(): void {
    const ordered = this.paths.flatMap((path) =>
      [...this.files.keys()].filter((file) => file === path || dirname(file) === path).sort(),
    )
    this.databases = [...new Set(ordered)].flatMap((path) => this.files.get(path)?.read.database ?? [])
    this.recent = new Recent(REMEMBERED)
    this.recentPlaces = new Recent(REMEMBERED)
  }

  private find(ip: Ip): Geo {
    let found: Geo | undefined
    for (const database of this.databases) {
      const more = database.lookUp(ip)
      if (more !== undefined) found = found === undefined ? more : merged(found, more)
    }
    return Object.freeze(found ?? NOWHERE)
  }
}

function merged(known: Geo, more: Geo): Geo {
  return {
    country: known.country ?? more.country,
    continent: known.continent ?? more.continent,
    city: known.city ?? more.city,
    asn: known.asn ?? more.asn,
    organisation: known.organisation ?? more.organisation,
  }
}

/** The databases in a folder, by name; `undefined` for what is no folder. */
function listed(path: string): string[] | undefined {
  try {
    if (!statSync(path).isDirectory()) return undefined
    const names = readdirSync(path).filter((name) => name.endsWith(".mmdb") && !name.startsWith("."))
    return names.sort().map((name) => join(path, name))
  } catch {
    // Reading it as a file says why.
    return undefined
  }
}

function shown({ builtAt, type }: GeoDatabase): string {
  return `${type} of ${builtAt.toISOString().slice(0, 10)}`
}
