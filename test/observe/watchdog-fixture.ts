// A gateway's loop in small: registers a policy, then gets stuck in the way that its first argument names.
import { Watchdog } from "../../src/observe/watchdog.ts"

const [how, format] = process.argv.slice(2)
const watchdog = new Watchdog({
  format: format === "json" ? "json" : "pretty",
  after: 1000,
  failed: (message) => console.error(`no watchdog: ${message}`),
})
const id = watchdog.register("endless.ts")
const forever = () => {
  for (;;) if (process.pid < 0) return
}
switch (how) {
  case "deciding":
    watchdog.enter(id)
    forever()
    break
  case "loading":
    watchdog.loading(id)
    forever()
    break
  case "many":
    // 30 files of 100 ms each: longer than the limit in all, and none of them hangs.
    for (let file = 0; file < 30; file++) {
      watchdog.loading(id)
      Bun.sleepSync(100)
      watchdog.loaded()
    }
    console.log("went on")
    process.exit(0)
  case "afterwards":
    watchdog.enter(id)
    watchdog.leave()
    setTimeout(forever, 10)
    break
  case "forgotten":
    watchdog.enter(id)
    watchdog.leave()
    watchdog.forget(id)
    forever()
    break
  case "pause":
    // Longer than the limit of 1 second and its last heartbeat.
    Bun.sleepSync(3500)
    console.log("went on")
    process.exit(0)
  case "stopped":
    // Its parent stops and continues it; afterwards it must still be there to say so.
    process.on("SIGUSR2", () => {
      console.log("alive")
      process.exit(0)
    })
    console.log("running")
    setInterval(() => {}, 1000)
    break
  default:
    watchdog.close()
    console.log("closed")
}
