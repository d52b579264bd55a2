// A real gateway whose pools are looked at from outside, as `tidegate status` does it.
import { join } from "node:path"
import { askControl, type Status } from "../../src/admin/control.ts"
import { RUNTIME, serve, type Served } from "./serve.ts"

export type PoolStatus = Status["pools"][number]
export type TargetStatus = PoolStatus["targets"][number]

export interface ServedPools extends Served {
  status(): Promise<Status>
  pool(name?: string): Promise<PoolStatus>
  /** Resolves when the pool's targets are so. */
  untilPool(isSo: (targets: readonly TargetStatus[]) => boolean, name?: string): Promise<void>
  /** Saves a file and waits until it decides. */
  save(file: string, text: string): Promise<void>
  /** What the log says of pools, in order. */
  readonly said: readonly string[]
}

let gateways = 0

/** The pool is called `db` unless a test says otherwise. */
export async function servePools(files: Readonly<Record<string, string>>, ...flags: string[]): Promise<ServedPools> {
  const path = join(RUNTIME, `pools-${gateways++}`)
  const served = await serve(files, "--control", path, ...flags)
  const status = async () => (await askControl({ folder: served.folder, path }, "status")) as Status
  const pool = async (name = "db") => {
    const found = (await status()).pools.find((each) => each.name === name)
    if (found === undefined) throw new Error(`there is no pool ${name}`)
    return found
  }
  return {
    ...served,
    [Symbol.asyncDispose]: () => served[Symbol.asyncDispose](),
    status,
    pool,
    async untilPool(isSo, name) {
      while (!isSo((await pool(name)).targets)) await Bun.sleep(5)
    },
    async save(file, text) {
      const { snapshot } = await status()
      served.write(file, text)
      while ((await status()).snapshot === snapshot) await Bun.sleep(5)
    },
    get said() {
      return served.log.map(({ message }) => message).filter((message) => message.startsWith("pool "))
    },
  }
}
