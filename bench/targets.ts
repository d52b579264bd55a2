// Five targets of a pool that fail as targets do: killed, stopped in the middle of everything, or up and down in turn.
import { join } from "node:path"
import { freePort } from "./process.ts"

/** 1 s up, 1 s down. */
const FLAP = 1000

export interface Targets {
  /** Where they answer requests. */
  readonly asked: readonly number[]
  /** Where they speak first. */
  readonly greeting: readonly number[]
  /** The first is killed, the second stalls, the third begins to flap. */
  fail(): void
  stop(): Promise<void>
}

export async function startTargets(): Promise<Targets> {
  const all = await Promise.all(Array.from({ length: 5 }, startTarget))
  const [killed, stalled, flapping] = all
  let isUp = true
  let timer: Timer | undefined
  const flap = () => {
    isUp = !isUp
    flapping!.child.send(isUp ? "up" : "down")
  }
  return {
    asked: all.map(({ asked }) => asked),
    greeting: all.map(({ greeting }) => greeting),
    fail() {
      killed!.child.kill("SIGKILL")
      stalled!.child.kill("SIGSTOP")
      flap()
      timer = setInterval(flap, FLAP)
    },
    async stop() {
      clearInterval(timer)
      for (const { child } of all) child.kill("SIGKILL")
      await Promise.all(all.map(({ child }) => child.exited))
    },
  }
}

async function startTarget() {
  const [asked, greeting] = [freePort(), freePort()]
  const ready = Promise.withResolvers<void>()
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "target.ts"), String(asked), String(greeting)], {
    stdout: "inherit",
    stderr: "inherit",
    ipc: () => ready.resolve(),
  })
  process.on("exit", () => child.kill("SIGKILL"))
  await ready.promise
  return { child, asked, greeting }
}
