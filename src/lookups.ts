// What expressions of manifests may look up, opened and followed as long as the gateway runs: categories of addresses,
// secrets, databases.
import { Effect, type Scope } from "effect"
import { useLookups } from "./config/lookups.ts"
import { Secrets, type SecretProblem } from "./config/secrets.ts"
import { watch } from "./config/watch.ts"
import type { GeoPlace } from "./limit/geo-place.ts"
import type { CategoryProblem, IpCategories } from "./limit/ip-categories.ts"
import type { Log } from "./observe/log.ts"
import type { Ip } from "./policy/address.ts"

export interface LookupOptions {
  /** A folder of lists, each a category. */
  readonly ipCategories: string | undefined
  /** A folder of vaults. */
  readonly secrets: string | undefined
}

export interface OpenedLookups {
  readonly categories: IpCategories | undefined
  readonly secrets: Secrets | undefined
  readonly problems: readonly (CategoryProblem | SecretProblem)[]
}

/** Opens both, and has expressions look there. What reads categories is loaded where there are some. */
export async function readLookups(
  { ipCategories, secrets: folder }: LookupOptions,
  place: ((ip: Ip) => GeoPlace | undefined) | undefined,
): Promise<OpenedLookups> {
  const { IpCategories } = ipCategories === undefined ? {} : await import("./limit/ip-categories.ts")
  const lists = ipCategories === undefined ? undefined : IpCategories?.open(ipCategories)
  const vaults = folder === undefined ? undefined : Secrets.open(folder)
  const categories = lists?.categories
  const secrets = vaults?.secrets
  useLookups({
    categories: categories === undefined ? undefined : (ip) => categories.of(ip),
    secret: secrets === undefined ? undefined : (vault, name) => secrets.get(vault, name),
    place,
  })
  return { categories, secrets, problems: [...(lists?.problems ?? []), ...(vaults?.problems ?? [])] }
}

/** Fails with what is wrong with them at the start; later the last good ones stay. */
export const openLookups = (
  options: LookupOptions,
  place: ((ip: Ip) => GeoPlace | undefined) | undefined,
  log: Log,
): Effect.Effect<void, readonly (CategoryProblem | SecretProblem)[], Scope.Scope> =>
  Effect.gen(function* () {
    const { categories, problems, secrets } = yield* Effect.promise(() => readLookups(options, place))
    if (problems.length > 0) return yield* Effect.fail(problems)
    const look = () => {
      categories?.look(log)
      for (const { message, path } of secrets?.look() ?? [])
        log.error(`${path}: ${message}; the secrets stay as they were`)
    }
    if (categories === undefined && secrets === undefined) return
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const watching = watch(
          () => [...(categories?.folders() ?? []), ...(secrets?.folders() ?? [])],
          () => {
            look()
            watching.refresh()
          },
        )
        return watching
      }),
      (watching) => Effect.sync(() => watching.close()),
    )
  })
