import { expect, setDefaultTimeout, test } from "bun:test"
import { cp, mkdir, readFile, symlink } from "node:fs/promises"
import { join } from "node:path"
import { ROOT, folder, run, tidegate } from "../helper/cli.ts"
import { deno } from "../helper/deno.ts"

// Processes that compile share the machine with all others that run at the same time.
setDefaultTimeout(60_000)

const FILES = ["hello.ts", "hello.test.ts", "tsconfig.json", "deno.json"]
const tsc = (project: string) =>
  run([process.execPath, join(ROOT, "node_modules/typescript/bin/tsc"), "--project", project])

test.concurrent("what it writes passes check --types, test, and the type check that an editor does", async () => {
  await using dir = await folder()
  const path = join(dir.path, "deep/policies")
  const { code, stdout, stderr } = await tidegate(["init", path])
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  for (const name of FILES) expect(stdout).toContain(`wrote ${path}/${name}\n`)
  expect(stdout).toContain(`tidegate serve ${path} `)
  expect(await tidegate(["check", "--types", path])).toEqual({
    code: 0,
    stdout: "1 policy on 1 listener\n  tcp://127.0.0.1:9000  asks hello.ts\n",
    stderr: "",
  })
  expect(await tidegate(["test", path])).toMatchObject({ code: 0, stderr: expect.stringContaining("2 pass") })
  expect(await tsc(path)).toEqual({ code: 0, stdout: "", stderr: "" })
})

test.concurrent.skipIf(deno === undefined)(
  "what it writes passes deno check and deno test, without a network",
  async () => {
    await using dir = await folder()
    await tidegate(["init", dir.path])
    const env = { DENO_DIR: join(dir.path, ".deno"), NPM_CONFIG_REGISTRY: "http://127.0.0.1:1" }
    expect((await run([deno!, "check", "."], { cwd: dir.path, env })).code).toBe(0)
    expect(await run([deno!, "test"], { cwd: dir.path, env })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("2 passed | 0 failed"),
    })
  },
)

test.concurrent("nothing that exists is overwritten", async () => {
  await using dir = await folder({ "hello.ts": "mine", "deno.json": "{}" })
  const { code, stdout, stderr } = await tidegate(["init", dir.path])
  expect(code).toBe(0)
  expect(stdout).toContain("wrote")
  expect(stderr).toBe(
    `kept  ${dir.path}/hello.ts, which was there already\nkept  ${dir.path}/deno.json, which was there already\n`,
  )
  expect(await readFile(join(dir.path, "hello.ts"), "utf8")).toBe("mine")
  expect(await readFile(join(dir.path, "deno.json"), "utf8")).toBe("{}")
})

test.concurrent("below the same root paths are relative, so that the project can be moved", async () => {
  await using dir = await folder({ "package.json": "{}" })
  const gateway = join(dir.path, "node_modules/tidegate")
  await mkdir(gateway, { recursive: true })
  await cp(join(ROOT, "src"), join(gateway, "src"), { recursive: true })
  await cp(join(ROOT, "package.json"), join(gateway, "package.json"))
  for (const name of ["effect", "typescript", "@typescript"])
    await symlink(join(ROOT, "node_modules", name), join(dir.path, "node_modules", name))
  const main = join(gateway, "src/main.ts")
  expect((await run([process.execPath, main, "init"], { cwd: dir.path })).code).toBe(0)
  for (const name of ["tsconfig.json", "deno.json"]) {
    const text = await readFile(join(dir.path, "policies", name), "utf8")
    expect(text).toContain("../node_modules/tidegate/src/index.ts")
    expect(text).not.toContain(dir.path)
  }
  // Without the types of Bun, which an installed gateway does not bring.
  expect(await run([process.execPath, main, "check", "--types"], { cwd: dir.path })).toMatchObject({
    code: 0,
    stderr: "",
  })
  expect((await run([process.execPath, main, "test"], { cwd: dir.path })).code).toBe(0)
})

test.concurrent("a folder that cannot be made is a message and exit code 2", async () => {
  await using dir = await folder({ file: "" })
  expect(await tidegate(["init", join(dir.path, "file/policies")])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("could not write"),
  })
})

test.concurrent("the shipped policies have the same settings as it writes", async () => {
  await using dir = await folder({ "package.json": await readFile(join(ROOT, "package.json"), "utf8") })
  await cp(join(ROOT, "src"), join(dir.path, "src"), { recursive: true })
  await symlink(join(ROOT, "node_modules"), join(dir.path, "node_modules"))
  await run([process.execPath, join(dir.path, "src/main.ts"), "init"], { cwd: dir.path })
  for (const name of ["tsconfig.json", "deno.json"])
    expect(await readFile(join(dir.path, "policies", name), "utf8")).toBe(
      await readFile(join(ROOT, "policies", name), "utf8"),
    )
})
