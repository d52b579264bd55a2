// What a reload changes, and what it leaves: versions, state of modules, listener plans.
import { expect, test } from "bun:test"
import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Loaded } from "../../src/config/loader.ts"
import { answer, modules, plan, policy, PolicyFolder, problems, states, version } from "./policy-folder.ts"

/** Answers how often it was asked since its module was evaluated. */
const counter = `let count = 0\nexport const listen = "tcp://:7000"\nexport function on_tcp_connect() { return ++count }\n`

test("a load without a change gives the same snapshot, also after a touch", async () => {
  await using folder = new PolicyFolder({ "a.ts": counter, "b.ts": "export const lisen = 1" })
  const loader = folder.loader()
  const first = await loader.load()
  expect(first.changed).toBe(true)
  expect((await loader.load()).changed).toBe(true)
  loader.commit(first.snapshot)
  utimesSync(folder.at("a.ts"), 1, 1)
  const second = await loader.load()
  expect(second).toEqual({
    snapshot: first.snapshot,
    changed: false,
    problems: first.problems,
    warnings: [],
    loading: [],
  })
  expect(second.snapshot).toBe(first.snapshot)
})

test("the id of a snapshot is that of the bytes, broken files included", async () => {
  await using folder = new PolicyFolder({ "a.ts": counter, "b.ts": "x(" })
  await using other = new PolicyFolder({ "a.ts": counter, "b.ts": "x(" })
  const loader = folder.loader()
  const first = await loader.reload()
  expect(first.snapshot.id).toMatch(/^[0-9a-f]{12}$/)
  expect((await other.loader().load()).snapshot.id).toBe(first.snapshot.id)
  folder.write("b.ts", "y(")
  expect((await loader.reload()).snapshot.id).not.toBe(first.snapshot.id)
  folder.write("b.ts", "x(")
  expect((await loader.reload()).snapshot.id).toBe(first.snapshot.id)
})

test("a changed file has a new version, and an unchanged one keeps its state and its plan", async () => {
  await using folder = new PolicyFolder({ "a.ts": counter, "b.ts": policy("1") })
  const loader = folder.loader()
  const before = await loader.reload()
  expect([answer(before, "a.ts"), answer(before, "b.ts")]).toEqual([1, 1])
  folder.write("b.ts", policy("2"))
  const after = await loader.reload()
  expect([answer(after, "a.ts"), answer(after, "b.ts")]).toEqual([2, 2])
  expect(version(after, "a.ts")).toBe(version(before, "a.ts"))
  expect(plan(after, "tcp:*:7000")).toBe(plan(before, "tcp:*:7000"))
  expect(plan(after, "tcp:127.0.0.1:9000")).not.toBe(plan(before, "tcp:127.0.0.1:9000"))
  expect(version(after, "b.ts").version).not.toBe(version(before, "b.ts").version)
})

test("a change that keeps size and modification time is seen", async () => {
  await using folder = new PolicyFolder({ "a.ts": policy("1") })
  const loader = folder.loader()
  for (const value of ["1", "2", "3", "4"]) {
    folder.write("a.ts", policy(value))
    utimesSync(folder.at("a.ts"), 1_700_000_000, 1_700_000_000)
    expect(answer(await loader.reload(), "a.ts")).toBe(Number(value))
  }
})

test("a broken file keeps its last good version, and comes back with its state when it is mended", async () => {
  await using folder = new PolicyFolder({ "a.ts": counter })
  const loader = folder.loader()
  const good = await loader.reload()
  expect(answer(good, "a.ts")).toBe(1)
  for (const broken of ["", counter.slice(0, -4), "export const lisen = 1", "throw new Error()", `import "./nix.ts"`]) {
    folder.write("a.ts", broken)
    const kept = await loader.reload()
    expect(kept.snapshot.files).toEqual([
      { file: "a.ts", state: "kept", version: version(good, "a.ts").version, problems: [expect.any(String)] },
    ])
    expect(version(kept, "a.ts")).toBe(version(good, "a.ts"))
    expect(plan(kept, "tcp:*:7000")).toBe(plan(good, "tcp:*:7000"))
  }
  folder.write("a.ts", counter)
  const mended = await loader.reload()
  expect(states(mended)).toEqual({ "a.ts": "good" })
  expect(answer(mended, "a.ts")).toBe(2)
  folder.write("a.ts", `${counter}// new`)
  expect(answer(await loader.reload(), "a.ts")).toBe(1)
})

test("a new broken file is bad and absent, and serves once it is mended", async () => {
  await using folder = new PolicyFolder({ "a.ts": counter })
  const loader = folder.loader()
  await loader.reload()
  folder.write("b.ts", "export const listen = ")
  const broken = await loader.reload()
  expect(states(broken)).toEqual({ "a.ts": "good", "b.ts": "bad" })
  expect(broken.snapshot.policies.map(({ file }) => file)).toEqual(["a.ts"])
  folder.write("b.ts", policy("2"))
  expect(answer(await loader.reload(), "b.ts")).toBe(2)
})

test("a file that is written in place in two steps is kept in between", async () => {
  await using folder = new PolicyFolder({ "a.ts": policy("1") })
  const loader = folder.loader()
  await loader.reload()
  const next = policy("2")
  folder.write("a.ts", "")
  expect(states(await loader.reload())).toEqual({ "a.ts": "kept" })
  folder.write("a.ts", next.slice(0, 60))
  const half = await loader.reload()
  expect(states(half)).toEqual({ "a.ts": "kept" })
  expect(answer(half, "a.ts")).toBe(1)
  folder.write("a.ts", next)
  expect(answer(await loader.reload(), "a.ts")).toBe(2)
})

test("a file that another one takes the name of, is renamed or is deleted, is followed", async () => {
  await using folder = new PolicyFolder({ "a.ts": policy("1") })
  const loader = folder.loader()
  await loader.reload()
  folder.replace("a.ts", policy("2"))
  expect(answer(await loader.reload(), "a.ts")).toBe(2)
  folder.rename("a.ts", "b.ts")
  const renamed = await loader.reload()
  expect(states(renamed)).toEqual({ "b.ts": "good" })
  expect(plan(renamed, "tcp:127.0.0.1:9000").files).toEqual(["b.ts"])
  folder.remove("b.ts")
  const gone = await loader.reload()
  expect(gone.snapshot.listeners.size).toBe(0)
  expect(problems(gone, folder)).toEqual([". there is no policy in this folder"])
})

test("fifty files that change at once are one reload", async () => {
  await using folder = new PolicyFolder()
  const names = Array.from({ length: 50 }, (_, i) => `p${i}.ts`)
  const write = (by: number) =>
    names.forEach((name, i) => folder.write(name, policy(String(i * by), { port: 9000 + i })))
  write(1)
  const loader = folder.loader()
  await loader.reload()
  write(2)
  const loaded = await loader.reload()
  expect(names.map((name) => answer(loaded, name))).toEqual(names.map((_, i) => i * 2))
})

test("a changed import reloads the files that import it, near and far, and no others", async () => {
  await using folder = new PolicyFolder({
    "a.ts": `import { far } from "./lib/near.ts"\nlet n = 0\nexport const listen = "tcp://:7001"\nexport function on_tcp_connect() { return [far, ++n] }`,
    "b.ts": counter,
    "lib/near.ts": `export { far } from "./far.ts"`,
    "lib/far.ts": `export const far = 1`,
  })
  const loader = folder.loader()
  const first = await loader.reload()
  expect([answer(first, "a.ts"), answer(first, "b.ts")]).toEqual([[1, 1], 1])
  folder.write("lib/far.ts", "export const far = 2")
  const second = await loader.reload()
  expect([answer(second, "a.ts"), answer(second, "b.ts")]).toEqual([[2, 1], 2])
  folder.write("lib/far.ts", "export const far =")
  const third = await loader.reload()
  expect(states(third)).toEqual({ "a.ts": "kept", "b.ts": "good" })
  expect(answer(third, "a.ts")).toEqual([2, 2])
  folder.write("lib/far.ts", "export const far = 3")
  expect(answer(await loader.reload(), "a.ts")).toEqual([3, 1])
})

test("imports from outside of the folder, of data, and dynamic ones are followed", async () => {
  await using folder = new PolicyFolder({
    "a.ts": `import { out } from "../shared/out.ts"\nimport data from "./data/d.json"\nexport const listen = "tcp://:7001"\nexport const on_tcp_connect = async () => [out, data.n, (await import("./lib/late.ts")).late]`,
    "../shared/out.ts": "export const out = 1",
    "data/d.json": `{ "n": 1 }`,
    "lib/late.ts": "export const late = 1",
  })
  const loader = folder.loader()
  const first = await loader.reload()
  // A live connection: what it was accepted under stays loaded, down to what is imported only now.
  plan(first, "tcp:*:7001").usage.acquire()
  folder.write("../shared/out.ts", "export const out = 2")
  expect(await answer(await loader.reload(), "a.ts")).toEqual([2, 1, 1])
  folder.write("data/d.json", `{ "n": 2 }`)
  expect(await answer(await loader.reload(), "a.ts")).toEqual([2, 2, 1])
  folder.write("lib/late.ts", "export const late = 2")
  expect(await answer(await loader.reload(), "a.ts")).toEqual([2, 2, 2])
  expect(await answer(first, "a.ts")).toEqual([1, 1, 1])
  plan(first, "tcp:*:7001").usage.release()
})

test("modules that import each other are loaded, and reloaded together", async () => {
  await using folder = new PolicyFolder({
    "a.ts": policy("[a1(), b1()]", { before: `import { a1 } from "./lib/a.ts"; import { b1 } from "./lib/b.ts"` }),
    "lib/a.ts": `import { b1 } from "./b.ts"\nexport const a1 = () => "a1"\nexport const a2 = () => b1()`,
    "lib/b.ts": `import { a1 } from "./a.ts"\nexport const b1 = () => a1() + "b1"`,
    "lib/self.ts": `import * as self from "./self.ts"\nexport const me = () => self`,
    "b.ts": `import { me } from "./lib/self.ts"\nexport function on_tcp_connect() { return me().me === me }`,
  })
  const loader = folder.loader()
  const first = await loader.reload()
  expect([answer(first, "a.ts"), answer(first, "b.ts")]).toEqual([["a1", "a1b1"], true])
  folder.write("lib/a.ts", `import { b1 } from "./b.ts"\nexport const a1 = () => "A1"\nexport const a2 = () => b1()`)
  expect(answer(await loader.reload(), "a.ts")).toEqual(["A1", "A1b1"])
})

function sharing(extra: string): string {
  return policy("++shared.count", { before: `import { shared } from "./lib/shared.ts"\n${extra}` })
}

test("a module that several policies import is one, and stays the same one when a policy changes", async () => {
  await using folder = new PolicyFolder({
    "a.ts": sharing(""),
    "b.ts": sharing(""),
    "lib/shared.ts": "export const shared = { count: 0 }",
  })
  const loader = folder.loader()
  const first = await loader.reload()
  expect([answer(first, "a.ts"), answer(first, "b.ts")]).toEqual([1, 2])
  folder.write("a.ts", sharing("// new"))
  const second = await loader.reload()
  expect([answer(second, "a.ts"), answer(second, "b.ts"), answer(first, "a.ts")]).toEqual([3, 4, 5])
  folder.write("a.ts", sharing("throw new Error()"))
  await loader.reload()
  folder.write("a.ts", sharing("// newer"))
  expect(answer(await loader.reload(), "a.ts")).toBe(6)
})

test("an import that was missing is found when it comes, and a nearer one is preferred", async () => {
  await using folder = new PolicyFolder({ "a.ts": policy("x", { before: `import { x } from "./lib/x"` }) })
  const loader = folder.loader()
  expect(states(await loader.reload())).toEqual({ "a.ts": "bad" })
  folder.write("lib/x/index.ts", "export const x = 1")
  expect(answer(await loader.reload(), "a.ts")).toBe(1)
  folder.write("lib/x.ts", "export const x = 2")
  expect(answer(await loader.reload(), "a.ts")).toBe(2)
  folder.remove("lib/x.ts")
  expect(answer(await loader.reload(), "a.ts")).toBe(1)
  folder.remove("lib")
  const kept = await loader.reload()
  expect(states(kept)).toEqual({ "a.ts": "kept" })
  expect(answer(kept, "a.ts")).toBe(1)
})

function counting(n: number): string {
  return policy(`[${n}, ++shared.count]`, { before: `import { shared } from "./shared.js"` })
}

test("a swap of links, as Kubernetes does with a ConfigMap, is followed, and what is equal keeps its state", async () => {
  await using folder = new PolicyFolder()
  const release = (name: string, files: Record<string, string>) => {
    for (const [file, text] of Object.entries(files)) folder.write(`${name}/${file}`, text)
    symlinkSync(name, folder.at("..new"))
    renameSync(folder.at("..new"), folder.at("..data"))
  }
  const lib = "export const shared = { count: 0 }"
  release("..2026_1", { "a.ts": counter, "b.ts": counting(1), "shared.ts": lib })
  for (const file of ["a.ts", "b.ts", "shared.ts"]) symlinkSync(`..data/${file}`, folder.at(file))
  const loader = folder.loader()
  const first = await loader.reload()
  expect(states(first)).toEqual({ "a.ts": "good", "b.ts": "good", "shared.ts": "bad" })
  expect([answer(first, "a.ts"), answer(first, "b.ts")]).toEqual([1, [1, 1]])
  release("..2026_2", { "a.ts": counter, "b.ts": counting(2), "shared.ts": lib })
  folder.remove("..2026_1")
  const second = await loader.reload()
  expect([answer(second, "a.ts"), answer(second, "b.ts")]).toEqual([2, [2, 2]])
  release("..2026_3", { "a.ts": policy("3", { port: 7000 }), "b.ts": counting(2), "shared.ts": lib })
  folder.remove("..2026_2")
  const third = await loader.reload()
  expect([answer(third, "a.ts"), answer(third, "b.ts")]).toEqual([3, [2, 3]])
  expect(version(third, "a.ts").path).toBe(folder.at("a.ts"))
  release("..2026_4", { "a.ts": "\nthrow new Error()", "b.ts": "x(", "shared.ts": lib })
  const broken = await loader.reload()
  expect(problems(broken, folder).map((problem) => problem.split(" ")[0])).toEqual([
    "a.ts:2:11",
    "b.ts:1:2",
    "shared.ts",
  ])
})

test("a policies folder that is a link to another release is followed", async () => {
  await using folder = new PolicyFolder()
  rmSync(folder.path, { recursive: true })
  const release = (name: string, value: string) => {
    const path = join(folder.root, name, "lib")
    mkdirSync(path, { recursive: true })
    writeFileSync(join(path, "x.ts"), `export const x = ${value}`)
    writeFileSync(join(folder.root, name, "a.ts"), policy("x", { before: `import { x } from "./lib/x.ts"` }))
    writeFileSync(join(folder.root, name, "b.ts"), counter)
    symlinkSync(name, join(folder.root, "link"))
    renameSync(join(folder.root, "link"), folder.path)
  }
  const loader = folder.loader()
  release("r1", "1")
  const first = await loader.reload()
  expect([answer(first, "a.ts"), answer(first, "b.ts")]).toEqual([1, 1])
  release("r2", "2")
  const second = await loader.reload()
  expect([answer(second, "a.ts"), answer(second, "b.ts")]).toEqual([2, 2])
  unlinkSync(folder.path)
})

test("a folder that is replaced is followed, and one that is missing meanwhile changes nothing", async () => {
  await using folder = new PolicyFolder({ "a.ts": counter, "b.ts": policy("1") })
  const loader = folder.loader()
  const first = await loader.reload()
  expect(answer(first, "a.ts")).toBe(1)
  renameSync(folder.path, join(folder.root, "old"))
  const missing = await loader.reload()
  expect(missing).toEqual({
    snapshot: first.snapshot,
    changed: false,
    problems: [expect.any(Object)],
    warnings: [],
    loading: [],
  })
  expect(problems(missing, folder)).toEqual([". there is no such folder"])
  mkdirSync(folder.path)
  folder.write("a.ts", counter)
  folder.write("c.ts", policy("3"))
  const replaced = await loader.reload()
  expect(states(replaced)).toEqual({ "a.ts": "good", "c.ts": "good" })
  expect([answer(replaced, "a.ts"), answer(replaced, "c.ts")]).toEqual([2, 3])
})

test("reloads leave no module behind, also of texts that cannot be evaluated", async () => {
  await using folder = new PolicyFolder({ "still.ts": policy("1", { port: 9001 }) })
  const loader = folder.loader()
  const counts: number[] = []
  for (let round = 0; round < 50; round++) {
    folder.write("lib/x.ts", `export const x = ${round - (round % 10)}`)
    folder.write("lib/d.json", `{ "n": ${round} }`)
    folder.write("a.ts", policy("x + d.n", { before: `import { x } from "./lib/x.ts"; import d from "./lib/d.json"` }))
    folder.write("b.ts", round % 2 === 0 ? `export const x = ${round}(` : `throw new Error("${round}")`)
    await loader.reload()
    counts.push(modules())
  }
  expect(new Set(counts)).toEqual(new Set([counts[0]!]))
})

test("loads that are asked for at the same time come one after the other", async () => {
  Reflect.set(globalThis, "tidegateTestRunning", 0)
  const body = `if (globalThis.tidegateTestRunning++ > 0) throw new Error("two at a time")
    await new Promise((resolve) => setTimeout(resolve))
    globalThis.tidegateTestRunning--`
  await using folder = new PolicyFolder({ "a.ts": policy("1", { before: body }) })
  const loader = folder.loader()
  const first = loader.load()
  const second = loader.load()
  const loaded = await Promise.all([first, second])
  expect(loaded.map(states)).toEqual([{ "a.ts": "good" }, { "a.ts": "good" }])
  expect(loaded[0].snapshot).toBe(loaded[1].snapshot)
})

function failing(lines: number): string {
  return `${"// line\n".repeat(lines)}import { fail } from "./lib/fail.ts"; export const listen = "tcp://:7000"
export function on_tcp_connect() {
  return [fail()]
}`
}

test("an old version keeps the right lines in its stacks after a reload", async () => {
  await using folder = new PolicyFolder({
    "a.ts": failing(0),
    "lib/fail.ts": `interface Long { a: string }\nexport function fail(): Long { throw new Error("fail") }`,
  })
  const loader = folder.loader()
  const loads: Loaded[] = []
  for (const lines of [0, 20, 3]) {
    folder.write("a.ts", failing(lines))
    folder.write("lib/fail.ts", `${"\n".repeat(lines)}export function fail(): never { throw new Error("fail") }`)
    const loaded = await loader.reload()
    plan(loaded, "tcp:*:7000").usage.acquire()
    loads.push(loaded)
  }
  const positions = loads.map((loaded) => {
    try {
      return answer(loaded, "a.ts")
    } catch (error) {
      return [loader.attribute(error), /on_tcp_connect .*:(\d+:\d+)\)/.exec((error as Error).stack!)?.[1]]
    }
  })
  expect(positions).toEqual(
    [0, 20, 3].map((lines, i) => [
      {
        policy: {
          file: "a.ts",
          version: version(loads[i]!, "a.ts").version,
          failures: version(loads[i]!, "a.ts").failures,
        },
        position: `${folder.at("lib/fail.ts")}:${lines + 1}:43`,
      },
      `${lines + 3}:11`,
    ]),
  )
})
