// The two processes around the system that is measured: upstream and load generator.
import { join } from "node:path"
import type { Done, Job } from "./job.ts"

export interface Workers {
  /** Ports of the upstreams. */
  readonly upstream: { readonly A: number; readonly B: number }
  run(job: Job): Promise<Done>
  /** A second load generator, for what must not wait behind the first. */
  beside(job: Job): Promise<Done>
  stop(): void
}

export async function startWorkers(): Promise<Workers> {
  const upstream = Bun.spawn([process.execPath, join(import.meta.dir, "upstream.ts")], { stdout: "pipe" })
  process.on("exit", () => upstream.kill("SIGKILL"))
  const { value } = await upstream.stdout.getReader().read()
  const [first, second] = await Promise.all([startLoad(), startLoad()])
  return {
    upstream: JSON.parse(new TextDecoder().decode(value)),
    run: first.run,
    beside: second.run,
    stop() {
      upstream.kill("SIGKILL")
      first.stop()
      second.stop()
    },
  }
}

interface Load {
  run(job: Job): Promise<Done>
  stop(): void
}

async function startLoad(): Promise<Load> {
  const ready = Promise.withResolvers<void>()
  let waiting: ((done: Done) => void) | undefined
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "load.ts")], {
    stdout: "inherit",
    stderr: "inherit",
    ipc(message: Done | "ready") {
      if (message === "ready") return ready.resolve()
      waiting?.(message)
    },
  })
  process.on("exit", () => child.kill("SIGKILL"))
  await ready.promise
  return {
    run(job) {
      const { promise, resolve } = Promise.withResolvers<Done>()
      waiting = resolve
      child.send(job)
      return promise
    },
    stop: () => child.kill("SIGKILL"),
  }
}
