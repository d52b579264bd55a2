// Loads a folder for `check` and `explain`: nothing is bound, no `setup` is run, and code that does not return ends the
// command under the name of its file.
import { configuredDatabases } from "../config/config-source.ts"
import { diagnostic, shownPath, type Diagnostic } from "../config/diagnostic.ts"
import { Loader, type Loaded } from "../config/loader.ts"
import { guardExit } from "../observe/exit-guard.ts"
import { Watchdog } from "../observe/watchdog.ts"
import { printable } from "../observe/printable.ts"
import { messageOf } from "../policy/ask.ts"
import { readLookups, type LookupOptions } from "../lookups.ts"
import { useDatabases } from "../policy/simulated.ts"
import { complain, paintErr } from "./say.ts"

export interface Opened extends Loaded {
  readonly loader: Loader
  readonly watchdog: Watchdog
}

/** What a gateway is started with, as far as it decides about policies. */
export interface OpenOptions {
  readonly folder: string
  readonly config: string | undefined
  readonly geoip: readonly string[]
  readonly lookups: LookupOptions
}

export async function open({ config, folder, geoip: named, lookups }: OpenOptions): Promise<Opened> {
  const geoip = [...named, ...(await configuredDatabases(config))]
  const missing = await openDatabases(geoip, lookups)
  const watchdog = new Watchdog()
  const loader = new Loader(folder, {
    config,
    runSetup: false,
    hasDatabases: geoip.length > 0,
    onEvaluate: (file) => watchdog.loading(watchdog.register(file)),
    onEvaluated: () => watchdog.loaded(),
  })
  // A rejection that nobody waits for, or a throw in a timer, does not end the gateway, and does not end this.
  const stray = (error: unknown) => {
    const found = loader.attribute(error)
    const where = found?.position ?? found?.policy.file
    const message = `${where === undefined ? "" : `${where}: `}nobody caught: ${messageOf(error)}`
    complain(`${paintErr("yellow", "warning:")} ${printable(message)}`)
  }
  process.on("unhandledRejection", stray).on("uncaughtException", stray)
  guardExit()
  const loaded = await loader.load()
  return { ...loaded, problems: [...missing, ...loaded.problems], loader, watchdog }
}

/** From now on `geo` tells what the databases have. Gives what is wrong with them. */
async function openDatabases(paths: readonly string[], lookups: LookupOptions): Promise<Diagnostic[]> {
  if (paths.length === 0) return problemsOf(await readLookups(lookups, undefined))
  const { GeoDatabases } = await import("../limit/geo-databases.ts")
  const { databases, ignored, problems } = await GeoDatabases.open(paths)
  for (const { message, path } of ignored)
    complain(`${paintErr("yellow", "warning:")} ${printable(`${shownPath(path)}: ${message}`)}`)
  useDatabases((ip) => databases.where(ip))
  const opened = await readLookups(lookups, (ip) => databases.place(ip))
  return problemsOf({ problems: [...problems, ...opened.problems] })
}

function problemsOf({ problems }: { problems: readonly { path: string; message: string }[] }): Diagnostic[] {
  return problems.map(({ message, path }) => diagnostic({ path }, message))
}
