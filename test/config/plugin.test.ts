// The gateway's own tidegate and effect, wherever the policies are.
import { expect, test } from "bun:test"
import { join } from "node:path"
import * as tidegate from "tidegate"
import { gatewayModules } from "../../src/config/plugin.ts"
import { answer, policy, PolicyFolder, problems } from "./policy-folder.ts"

test("tidegate and effect are the gateway's own copies, with no node_modules in sight and in spite of one", async () => {
  const before = `import * as own from "tidegate"
    import { Effect } from "effect"
    import { HttpRouter } from "effect/http"
    import * as router from "effect/http/HttpRouter"
    import { succeed } from "effect/Effect"`
  await using folder = new PolicyFolder({
    "a.ts": policy("[own, Effect.succeed === succeed, HttpRouter.layer === router.layer]", { before }),
    "b.ts": policy("found", { before: `import { found } from "other"` }),
  })
  const fake = (name: string, text: string) => {
    folder.write(`node_modules/${name}/package.json`, `{ "name": "${name}", "main": "index.js", "type": "module" }`)
    folder.write(`node_modules/${name}/index.js`, text)
  }
  fake("tidegate", "throw new Error('the local one')")
  fake("effect", "throw new Error('the local one')")
  fake("other", `import { deny } from "tidegate"\nexport const found = deny("x").action`)
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([])
  const [own, ...same] = answer(loaded, "a.ts") as [typeof tidegate, boolean, boolean]
  expect(own.DecisionInvalid).toBe(tidegate.DecisionInvalid)
  expect(Object.keys(own).toSorted()).toEqual(Object.keys(tidegate).toSorted())
  expect(same).toEqual([true, true])
  expect(answer(loaded, "b.ts")).toBe("deny")
})

test("tidegate can be imported again by every reload, and its testing module too", async () => {
  await using folder = new PolicyFolder()
  const loader = folder.loader()
  for (const n of [1, 2, 3]) {
    const before = `import { connect } from "tidegate/testing"; import { deny } from "tidegate"`
    folder.write("a.ts", policy(`[typeof connect, deny("${n}").reason]`, { before }))
    expect(answer(await loader.reload(), "a.ts")).toEqual(["function", String(n)])
  }
})

test("every public module of effect is there, and no internal one", () => {
  const names = [...gatewayModules().keys()]
  const wanted = ["tidegate", "tidegate/testing", "effect", "effect/Effect", "effect/http", "effect/http/HttpRouter"]
  expect(wanted.filter((name) => !names.includes(name))).toEqual([])
  expect(names.filter((name) => /internal|index/.test(name))).toEqual([])
})

test("a policy without Effect does not load it", async () => {
  await using folder = new PolicyFolder({
    "a.ts": policy("route('tcp://a:1')", { before: `import { route } from "tidegate"` }),
  })
  const source = join(import.meta.dir, "../../src/config/loader.ts")
  const program = `const { Loader } = await import(${JSON.stringify(source)})
    const { problems } = await new Loader(${JSON.stringify(folder.path)}, { runSetup: true }).load()
    const loaded = Object.keys(require.cache).filter((path) => path.includes("/effect/"))
    process.stdout.write(JSON.stringify([problems, loaded]))`
  const { stdout } = Bun.spawnSync([process.execPath, "--no-install", "-e", program])
  expect(JSON.parse(stdout.toString())).toEqual([[], []])
})
