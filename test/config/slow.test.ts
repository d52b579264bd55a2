// A file that takes long to load: what a reload does without it, and what becomes of it.
import { afterEach, expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import type { Loaded } from "../../src/config/loader.ts"
import {
  answer,
  modules,
  plan,
  policy,
  PolicyFolder,
  problems,
  states,
  until,
  version,
  type TestLoader,
} from "./policy-folder.ts"

/** 25 ms, as in a gateway. */
const QUICK = { patience: 25 }

/** What the policies of a test wait for, by name, and what they note. */
const gates = new Map<string, PromiseWithResolvers<unknown>>()
const notes: string[] = []
Reflect.set(globalThis, "tidegateTestGates", {
  wait(name: string) {
    if (!gates.has(name)) gates.set(name, Promise.withResolvers())
    return gates.get(name)!.promise
  },
})
Reflect.set(globalThis, "tidegateTestSlowNotes", notes)
afterEach(() => {
  for (const { resolve } of gates.values()) resolve(undefined)
  gates.clear()
  notes.length = 0
})

const wait = (name: string) => `globalThis.tidegateTestGates.wait("${name}")`
const note = (text: string) => `globalThis.tidegateTestSlowNotes.push("${text}")`
const open = (name: string) => gates.get(name)!.resolve(undefined)
const began = (name: string) => until(() => gates.has(name))

/** Its top-level code waits. */
const slowCode = (name: string, value: string, port = 9000) => policy(value, { before: `await ${wait(name)}`, port })
/** Its setup waits, and makes what is to be disposed. */
const slowSetup = (name: string, value: string, port = 9000) =>
  policy(value, {
    before: `export async function setup() {
  await ${wait(name)}
  return { [Symbol.dispose]() { ${note(`dispose ${name}`)} } }
}`,
    port,
  })

/** Reloads until the result is as expected; what is not, may be ready at the next load. */
async function reloaded(loader: TestLoader, expected: (loaded: Loaded) => boolean): Promise<Loaded> {
  for (;;) {
    const loaded = await loader.reload()
    if (expected(loaded)) return loaded
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const serves = (file: string, value: unknown) => (loaded: Loaded) =>
  loaded.snapshot.policies.some((one) => one.file === file) && answer(loaded, file) === value
const has = (file: string, state: string) => (loaded: Loaded) => states(loaded)[file] === state

const told = (loaded: Loaded) => loaded.loading.map(({ message }) => message)

test("the first load waits for every file, whatever the patience", async () => {
  await using folder = new PolicyFolder({ "a.ts": slowCode("a", "1"), "b.ts": slowSetup("b", "2") })
  const loading = folder.loader({ patience: 0 }).load()
  await began("a")
  open("a")
  await began("b")
  open("b")
  expect(states(await loading)).toEqual({ "a.ts": "good", "b.ts": "good" })
})

test("files that wait at the top level or in setup keep serving as they did, and hold nothing else up", async () => {
  await using folder = new PolicyFolder({
    "code.ts": policy("1", { port: 9001 }),
    "setup.ts": policy("1", { port: 9002 }),
  })
  const loader = folder.loader(QUICK)
  const first = await loader.reload()
  folder.write("code.ts", slowCode("code", "2", 9001))
  folder.write("setup.ts", slowSetup("setup", "2", 9002))
  folder.write("new.ts", slowCode("new", "2", 9003))
  folder.write("other.ts", policy("2", { port: 9004 }))
  const loaded = await reloaded(loader, (now) => serves("other.ts", 2)(now) && gates.size === 3)
  expect(states(loaded)).toEqual({
    "code.ts": "loading",
    "new.ts": "loading",
    "other.ts": "good",
    "setup.ts": "loading",
  })
  expect(problems(loaded, folder)).toEqual([])
  expect(told(loaded)).toEqual([
    "is still loading: its top-level code has not finished",
    "is still loading: its top-level code has not finished",
    "is still loading: its setup has not finished",
  ])
  expect(loaded.snapshot.files[0]).toEqual({
    file: "code.ts",
    state: "loading",
    version: version(first, "code.ts").version,
    problems: [expect.stringContaining("code.ts is still loading: its top-level code has not finished")],
  })
  expect(plan(loaded, "tcp:127.0.0.1:9001")).toBe(plan(first, "tcp:127.0.0.1:9001"))
  expect([answer(loaded, "code.ts"), answer(loaded, "setup.ts")]).toEqual([1, 1])
  folder.write("other.ts", policy("3", { port: 9004 }))
  await reloaded(loader, serves("other.ts", 3))
})

test("what settles is told once, and the next load has it although nothing changed", async () => {
  let settled = 0
  await using folder = new PolicyFolder({ "a.ts": policy("1") })
  const loader = folder.loader({ ...QUICK, onSettled: () => void settled++ })
  await loader.reload()
  folder.write("a.ts", slowSetup("a", "2"))
  await reloaded(loader, () => gates.has("a"))
  await reloaded(loader, has("a.ts", "loading"))
  const before = settled
  expect(await loader.reload()).toMatchObject({ changed: false, loading: [expect.any(Object)] })
  open("a")
  await until(() => settled > before)
  const loaded = await loader.reload()
  expect(states(loaded)).toEqual({ "a.ts": "good" })
  expect([loaded.changed, loaded.loading, answer(loaded, "a.ts")]).toEqual([true, [], 2])
  expect((await loader.reload()).snapshot).toBe(loaded.snapshot)
  expect(settled).toBe(before + 1)
})

test("what fails in the end is a problem then, and is not tried again by itself", async () => {
  let settled = 0
  const setup = `export async function setup() { await ${wait("setup")}; throw new Error("no db") }`
  await using folder = new PolicyFolder({ "code.ts": policy("1"), "setup.ts": policy("1", { port: 9001 }) })
  const loader = folder.loader({ ...QUICK, onSettled: () => void settled++ })
  await loader.reload()
  folder.write("code.ts", policy("2", { before: `await ${wait("code")}; throw new Error("no")` }))
  folder.write("setup.ts", policy("2", { before: setup, port: 9001 }))
  await reloaded(loader, () => gates.size === 2)
  await reloaded(loader, has("setup.ts", "loading"))
  open("code")
  open("setup")
  const loaded = await reloaded(loader, (now) => now.loading.length === 0)
  expect(states(loaded)).toEqual({ "code.ts": "kept", "setup.ts": "kept" })
  expect(problems(loaded, folder)).toEqual([
    expect.stringMatching(/^code\.ts:1:\d+ Error: no$/),
    expect.stringMatching(/^setup\.ts:1:\d+ setup failed: Error: no db$/),
  ])
  expect(settled).toBeGreaterThanOrEqual(2)
  expect((await loader.reload()).snapshot).toBe(loaded.snapshot)
})

test("what never ends is given up, and is a problem then", async () => {
  await using folder = new PolicyFolder({ "a.ts": policy("1") })
  const loader = folder.loader({ ...QUICK, limit: 150 })
  await loader.reload()
  folder.write("a.ts", slowCode("a", "2"))
  folder.write("b.ts", slowSetup("b", "2", 9001))
  await reloaded(loader, ({ loading }) => loading.length === 2)
  const loaded = await reloaded(loader, ({ loading }) => loading.length === 0)
  expect(states(loaded)).toEqual({ "a.ts": "kept", "b.ts": "bad" })
  expect(problems(loaded, folder)).toEqual([
    "a.ts the top-level code took longer than 0.15 seconds",
    "b.ts:1:23 setup took longer than 0.15 seconds",
  ])
})

test.each(["good", "broken", "deleted", "as before"])(
  "a text that waits at the top level is overtaken by one that is %s",
  async (newer) => {
    let settled = 0
    await using folder = new PolicyFolder({ "a.ts": policy("1"), "b.ts": policy("1", { port: 9001 }) })
    const loader = folder.loader({ ...QUICK, onSettled: () => void settled++ })
    await loader.reload()
    const loadedBefore = modules()
    folder.write("a.ts", `${slowCode("a", "2")}${note("evaluated")}`)
    await reloaded(loader, () => gates.has("a"))
    await reloaded(loader, has("a.ts", "loading"))
    if (newer === "deleted") folder.remove("a.ts")
    else folder.write("a.ts", newer === "good" ? policy("3") : newer === "broken" ? "x(" : policy("1"))
    const value = newer === "good" ? 3 : 1
    const served =
      newer === "deleted"
        ? await reloaded(loader, (now) => states(now)["a.ts"] === undefined)
        : await reloaded(loader, (now) => now.loading.length === 0 && answer(now, "a.ts") === value)
    const before = settled
    open("a")
    await until(() => notes.includes("evaluated"))
    expect((await loader.reload()).snapshot).toBe(served.snapshot)
    expect(settled).toBe(before)
    expect(modules()).toBe(newer === "deleted" ? loadedBefore - 1 : loadedBefore)
  },
)

test.each(["good", "slow", "broken", "deleted"])(
  "a setup that waits is overtaken by a text that is %s, and what it makes is disposed",
  async (newer) => {
    await using folder = new PolicyFolder({ "a.ts": policy("1"), "b.ts": policy("1", { port: 9001 }) })
    const loader = folder.loader(QUICK)
    await loader.reload()
    folder.write("a.ts", slowSetup("old", "2"))
    await reloaded(loader, () => gates.has("old"))
    await reloaded(loader, has("a.ts", "loading"))
    if (newer === "deleted") folder.remove("a.ts")
    else folder.write("a.ts", newer === "good" ? policy("3") : newer === "broken" ? "x(" : slowCode("new", "3"))
    const expected = { good: "good", slow: "loading", broken: "kept", deleted: undefined }[newer]
    await reloaded(loader, (now) => states(now)["a.ts"] === expected && (newer !== "slow" || gates.has("new")))
    open("old")
    await until(() => notes.length > 0)
    expect(notes).toEqual(["dispose old"])
    const loaded = await loader.reload()
    expect(states(loaded)["a.ts"]).toBe(expected)
    if (newer === "deleted") return
    expect(answer(loaded, "a.ts")).toBe(newer === "good" ? 3 : 1)
  },
)

test("an Effect in setup that is overtaken is interrupted", async () => {
  await using folder = new PolicyFolder({ "a.js": policy("1") })
  const loader = folder.loader(QUICK)
  await loader.reload()
  folder.write(
    "a.js",
    policy("2", {
      before: `import { Effect } from "effect"
export const setup = () => Effect.onInterrupt(Effect.andThen(Effect.sync(() => ${note("begin")}), Effect.never), () => Effect.sync(() => ${note("interrupted")}))`,
    }),
  )
  await reloaded(loader, () => notes.includes("begin"))
  folder.write("a.js", policy("3"))
  await reloaded(loader, serves("a.js", 3))
  await until(() => notes.length === 2)
  expect(notes).toEqual(["begin", "interrupted"])
})

test("what a setup made that was ready between two loads is disposed when a newer text comes first", async () => {
  let settled = 0
  await using folder = new PolicyFolder({ "a.ts": policy("1") })
  const loader = folder.loader({ ...QUICK, onSettled: () => void settled++ })
  await loader.reload()
  folder.write("a.ts", slowSetup("a", "2"))
  await reloaded(loader, () => gates.has("a"))
  await reloaded(loader, has("a.ts", "loading"))
  const before = settled
  open("a")
  await until(() => settled > before)
  folder.write("a.ts", policy("3"))
  await reloaded(loader, serves("a.ts", 3))
  await until(() => notes.length > 0)
  expect(notes).toEqual(["dispose a"])
})

const limited = (n: number) => `export const listen = { url: "tcp://127.0.0.1:9000", maxConnections: ${n} }
export const on_tcp_connect = () => ${n}\n`

test("a file that would win a conflict takes part in it when it is ready", async () => {
  await using folder = new PolicyFolder({ "z.ts": policy("0", { port: 9001 }) })
  const loader = folder.loader(QUICK)
  await loader.reload()
  folder.write("a.ts", `await ${wait("a")}\n${limited(1)}`)
  await reloaded(loader, () => gates.has("a"))
  folder.write("b.ts", limited(2))
  Bun.spawnSync(["touch", "-d", "2001-01-01", folder.at("a.ts")])
  await reloaded(loader, serves("b.ts", 2))
  open("a")
  const loaded = await reloaded(loader, serves("a.ts", 1))
  // As with any two files that contradict each other: the one that was saved last gives way to the other.
  expect(states(loaded)["a.ts"]).toBe("good")
  expect(loaded.problems.map(({ file }) => file.split("/").at(-1))).toEqual(["b.ts"])
})

test("a reload that is left for later keeps nothing of it when the loader closes", async () => {
  const descriptors = readdirSync("/proc/self/fd").length
  const failures: unknown[] = []
  {
    await using folder = new PolicyFolder({ "z.ts": policy("0", { port: 9001 }) })
    const loader = folder.loader({
      ...QUICK,
      onSettled: () => void failures.push("told after the end"),
      onDisposeFailed: (failure) => void failures.push(failure),
    })
    await loader.reload()
    folder.write("a.ts", slowCode("a", "1"))
    folder.write("b.ts", slowSetup("b", "1"))
    await reloaded(loader, (now) => now.loading.length === 2 && gates.size === 2)
    failures.length = 0
    await loader.close()
    open("a")
    open("b")
    await until(() => notes.length > 0)
  }
  expect(notes).toEqual(["dispose b"])
  expect(failures).toEqual([])
  expect(readdirSync("/proc/self/fd").length).toBe(descriptors)
})
