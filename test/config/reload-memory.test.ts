// What reloads leave behind, measured in a process of its own.
import { expect, test } from "bun:test"
import { join } from "node:path"

test("1,000 reloads leave less than 10 MB, no module and no descriptor", async () => {
  const fixture = join(import.meta.dir, "reload-memory-fixture.ts")
  const child = Bun.spawn([process.execPath, "--no-install", fixture], { stdout: "pipe", stderr: "pipe" })
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()])
  expect(stderr).toBe("")
  const left = JSON.parse(stdout) as { megabytes: number; modules: number; descriptors: number }
  expect(left).toEqual({ megabytes: expect.any(Number), modules: 0, descriptors: 0 })
  expect(left.megabytes).toBeLessThan(10)
}, 60_000)
