// Loads a folder for `check` and `explain`: nothing is bound, no `setup` is run, and code that does not return ends the
// command under the name of its file.
import { Loader, type Loaded } from "../config/loader.ts"
import { guardExit } from "../observe/exit-guard.ts"
import { Watchdog } from "../observe/watchdog.ts"
import { printable } from "../observe/printable.ts"
import { messageOf } from "../policy/ask.ts"
import { complain, paintErr } from "./say.ts"

export interface Opened extends Loaded {
  readonly loader: Loader
  readonly watchdog: Watchdog
}

export async function open(folder: string, config: string | undefined): Promise<Opened> {
  const watchdog = new Watchdog()
  const loader = new Loader(folder, {
    config,
    runSetup: false,
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
  return { ...(await loader.load()), loader, watchdog }
}
