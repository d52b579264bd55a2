// The databases of a running gateway that tell where clients come from: watched, and read again when they change. Says
// what became of them.
import { Effect, type Scope } from "effect"
import { watch } from "./config/watch.ts"
import type { GeoDatabases, GeoProblem, GeoStatus } from "./limit/geo-databases.ts"
import type { GeoPlace } from "./limit/geo-place.ts"
import type { Log } from "./observe/log.ts"
import type { Ip } from "./policy/address.ts"
import type { Geo } from "./policy/geo.ts"

export interface OpenedGeo {
  readonly where: (ip: Ip) => Geo
  /** More of it, for expressions. */
  readonly place: (ip: Ip) => GeoPlace | undefined
  /** Looks at the files now. */
  readonly look: () => Promise<void>
  readonly status: () => readonly GeoStatus[]
}

/**
 * Opens the databases that `--geoip` names; `undefined` where it names none. Nothing of the library is loaded then.
 * Fails with what is wrong with them.
 */
export const openGeo = (
  paths: readonly string[],
  log: Log,
): Effect.Effect<OpenedGeo | undefined, readonly GeoProblem[], Scope.Scope> =>
  Effect.gen(function* () {
    if (paths.length === 0) return undefined
    const { databases, ignored, problems } = yield* Effect.promise(() => open(paths))
    if (problems.length > 0) return yield* Effect.fail(problems)
    for (const { message, path } of ignored) log.warn(`${path}: ${message}`)
    for (const { built, file, type } of databases.status()) log.info(`${file}: ${type} of ${built.slice(0, 10)}`)
    const look = () => databases.look(log)
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const watching = watch(
          () => databases.folders(),
          () => void look().then(() => watching.refresh()),
        )
        return watching
      }),
      (watching) => Effect.sync(() => watching.close()),
    )
    return {
      where: (ip) => databases.where(ip),
      place: (ip) => databases.place(ip),
      look,
      status: () => databases.status(),
    }
  })

const open = async (paths: readonly string[]): ReturnType<typeof GeoDatabases.open> =>
  (await import("./limit/geo-databases.ts")).GeoDatabases.open(paths)
