// `tidegate test`: runs `bun test` on a folder of policies.
import { stat } from "node:fs/promises"
import { join, resolve } from "node:path"
import { fail } from "./say.ts"
import { GEOIP } from "./test-geoip.ts"

/** What `bun test` takes for a test, wherever it is below the folder. */
const TESTS = new Bun.Glob("**/*{.test,.spec,_test,_spec}.{ts,tsx,mts,cts,js,jsx,mjs,cjs}")

/** The tests of a folder, as absolute paths in order. */
export async function testsOf(folder: string): Promise<string[]> {
  const tests = await Array.fromAsync(TESTS.scan({ cwd: folder, absolute: true, followSymlinks: false }))
  return tests.filter((path) => !path.includes("/node_modules/")).sort()
}

/** Runs the tests; the exit code is that of `bun test`, or 2 where there is nothing to run. */
export async function test(options: { readonly folder: string; readonly geoip: readonly string[] }): Promise<number> {
  const folder = resolve(options.folder)
  const found = await stat(folder).catch(() => undefined)
  if (found?.isDirectory() !== true) return fail(`there is no folder ${options.folder}`)
  if ((await testsOf(folder)).length === 0)
    return fail(
      `${options.folder} has no tests`,
      "a test is a file like hello.test.ts; `tidegate init` writes a first one",
    )
  const preload = join(import.meta.dir, "test-preload.ts")
  const command = [process.execPath, "--no-install", "test", "--preload", preload]
  const paths = options.geoip.map((path) => resolve(path))
  const env = { ...process.env, [GEOIP]: JSON.stringify(paths) }
  const tests = Bun.spawn(command, { cwd: folder, env, stdio: ["inherit", "inherit", "inherit"] })
  return tests.exited
}
