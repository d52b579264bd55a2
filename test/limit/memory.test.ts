// What limits cost, in processes of their own.
import { expect, test } from "bun:test"
import { join } from "node:path"
import { run } from "../helper/cli.ts"

interface Cost {
  readonly keys: number
  readonly grown: number
  readonly total: number
}

async function cost(limits: number, clients: number): Promise<Cost> {
  const fixture = join(import.meta.dir, "memory-fixture.ts")
  const { code, stdout, stderr } = await run([process.execPath, "--no-install", fixture, `${limits}`, `${clients}`])
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  return JSON.parse(stdout) as Cost
}

test.concurrent("1,000,000 clients take less than 200 MB, and of 1,500,000 only that many are kept", async () => {
  const { keys, total } = await cost(1, 1_500_000)
  expect(keys).toBe(1_000_000)
  expect(total).toBeLessThan(200e6)
})

test.concurrent("1,000 limits with 10 clients each take next to nothing", async () => {
  const { grown } = await cost(1000, 10)
  expect(grown).toBeLessThan(20e6)
})
