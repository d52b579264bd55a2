import { expect, setDefaultTimeout, test } from "bun:test"
import { access, constants } from "node:fs/promises"
import { join } from "node:path"
import manifest from "../../package.json" with { type: "json" }
import { ROOT, run, tidegate } from "../helper/cli.ts"

// Processes that compile share the machine with all others that run at the same time.
setDefaultTimeout(60_000)

test.concurrent("--version is the version of the package", async () => {
  expect(await tidegate(["--version"])).toEqual({ code: 0, stdout: `tidegate v${manifest.version}\n`, stderr: "" })
})

test.concurrent("--help names every command", async () => {
  const { code, stdout, stderr } = await tidegate(["--help"])
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  for (const name of ["serve", "check", "test", "explain", "status", "init"]) expect(stdout).toContain(`  ${name} `)
})

test.concurrent.each([
  [["chek"], "Did you mean this?\n    check"],
  [["check", "--typse"], "--types"],
  [["check", "a", "b"], 'Unexpected positional argument: "b"'],
  [["explain"], "Missing required flag: --to"],
  [["serve", "--drain", "soon"], 'Expected a duration like "5 seconds"'],
  [["serve", "--max-connections", "0"], "Expected a whole number from 1"],
  [["serve", "--log", "xml"], "json"],
  [["status", "--output", "xml"], "table"],
])("%j is wrong usage: exit code 2, and nothing on stdout", async (args, why) => {
  const { code, stdout, stderr } = await tidegate(args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
  expect(stderr).toContain(why)
  expect(stderr).toContain("--help")
})

test.concurrent("what was typed is made safe for the terminal", async () => {
  const { stderr } = await tidegate(["\u001b[31mred"])
  expect(stderr).not.toContain("\u001b")
})

test.concurrent("without a command there is help, and exit code 2", async () => {
  const { code, stdout } = await tidegate([])
  expect(code).toBe(2)
  expect(stdout).toContain("SUBCOMMANDS")
})

test.concurrent("the entry can be started by itself", async () => {
  const entry = join(ROOT, manifest.bin.tidegate)
  await access(entry, constants.X_OK)
  expect((await run([entry, "--version"])).stdout).toBe(`tidegate v${manifest.version}\n`)
})
