// The certificates of a running gateway: the store's folder, watched, and those made for development. Says what is
// wrong with a pair, and what is about to expire.
import { Effect, type Scope } from "effect"
import { watch } from "./config/watch.ts"
import type { Found } from "./connection/data-path.ts"
import type { Log } from "./observe/log.ts"
import { CertificateStore, type CertificateProblem } from "./tls/certificate-store.ts"
import type { DevCertificates } from "./tls/dev-certificates.ts"
import { expiring, type ExpirySaid } from "./tls/expiry.ts"
import { IdentityInvalid, type Identity } from "./tls/identity.ts"

export interface CertificateOptions {
  readonly folder: string
  /** Whether there has to be such a folder: it was named. */
  readonly required: boolean
  /** Make a certificate where the store has none for a name. */
  readonly dev: boolean
}

export interface Certificates {
  readonly identities: () => readonly Identity[]
  readonly choose: (name: string | undefined, address: string | undefined) => Found<readonly Identity[]>
  /** Looks at the folder now. */
  readonly reload: () => Promise<void>
}

/** Fails with what is wrong with the folder itself; a bad pair is reported and stops nobody. */
export const openCertificates = (
  { dev, folder, required }: CertificateOptions,
  log: Log,
): Effect.Effect<Certificates, string, Scope.Scope> =>
  Effect.gen(function* () {
    const made = dev ? yield* Effect.tryPromise({ try: () => openDev(folder), catch: shown }) : undefined
    const store = new CertificateStore(folder)
    const report = new Report(log)
    const first = yield* Effect.promise(() => store.load())
    const missing = first.problems.find(({ file }) => file === ".")
    if (required && missing !== undefined && store.identities.length === 0)
      return yield* Effect.fail(`${folder}: ${missing.message}${hinted(missing.hint)}`)
    report.problems(first.problems, required)
    if (made !== undefined)
      log.info(`development certificates are made for every name; clients trust them with ${made.authorityFile}`)
    const reload = async () => {
      const { changed, problems } = await store.load()
      report.problems(problems, required)
      report.expiry(store.identities)
      if (changed) log.info(`certificates: ${store.identities.map(({ file }) => file).join(", ") || "none"}`)
    }
    report.expiry(store.identities)
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const watching = watch(
          () => store.folders(),
          () => void reload().then(() => watching.refresh()),
        )
        return watching
      }),
      (watching) => Effect.sync(() => watching.close()),
    )
    return {
      identities: () => store.identities,
      choose(name, address) {
        const found = store.choose(name, address)
        return found.length > 0 || made === undefined ? found : made.choose(name, address)
      },
      reload,
    }
  })

const openDev = async (folder: string): Promise<DevCertificates> =>
  (await import("./tls/dev-certificates.ts")).DevCertificates.open(folder)

/** What is wrong with the authority that is there. */
function shown(error: unknown): string {
  return error instanceof IdentityInvalid ? `${error.file}: ${error.message}${hinted(error.hint)}` : String(error)
}

function hinted(hint: string | undefined): string {
  return hint === undefined ? "" : ` (${hint})`
}

class Report {
  private readonly log: Log
  private reported: ReadonlySet<string> = new Set()
  private said: ExpirySaid = new Map()

  constructor(log: Log) {
    this.log = log
  }

  /** Each is said once, until it is mended. That there is no folder is one only if there has to be. */
  problems(problems: readonly CertificateProblem[], required: boolean): void {
    const shown = problems
      .filter(({ file }) => required || file !== ".")
      .map(
        ({ hint, kept, message, path }) =>
          `${path}: ${message}${kept ? "; the last good one stays" : ""}${hinted(hint)}`,
      )
    for (const problem of shown) if (!this.reported.has(problem)) this.log.error(problem)
    if (shown.length === 0 && this.reported.size > 0) this.log.info("all certificates are good again")
    this.reported = new Set(shown)
  }

  expiry(identities: readonly Identity[]): void {
    const { due, said } = expiring(identities, this.said, new Date())
    this.said = said
    for (const { message } of due) this.log.warn(message)
  }
}
