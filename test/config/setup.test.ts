// What setup makes: when it runs, who gets it, and when it is disposed.
import { expect, test } from "bun:test"
import { utimesSync } from "node:fs"
import type { Loaded } from "../../src/config/loader.ts"
import { answer, plan, PolicyFolder, problems, states, until, version } from "./policy-folder.ts"

const ID = "tcp:127.0.0.1:9000"

/** Notes what happens in a list that the policies of the test share. */
function journal(): string[] {
  const notes: string[] = []
  Reflect.set(globalThis, "tidegateTestNotes", notes)
  return notes
}

const note = (text: string) => `globalThis.tidegateTestNotes.push(${JSON.stringify(text)})`

/** A policy whose setup gives a resource of that name. */
function withSetup(name: string, options = "", port = 9000): string {
  return `export const listen = { url: "tcp://127.0.0.1:${port}", ${options} }
export function setup() {
  ${note(`make ${name}`)}
  return { name: "${name}", [Symbol.dispose]() { ${note(`dispose ${name}`)} } }
}
export function on_tcp_connect(_, resources) { return resources.name }`
}

function open(loaded: Loaded): Disposable {
  const { usage } = plan(loaded, ID)
  usage.acquire()
  return { [Symbol.dispose]: () => usage.release() }
}

test("setup runs once, before the swap, and its result is the second argument", async () => {
  const notes = journal()
  await using folder = new PolicyFolder({ "a.js": withSetup("one") })
  const loader = folder.loader()
  const loaded = await loader.load()
  expect(notes).toEqual(["make one"])
  expect(answer(loaded, "a.js")).toBe("one")
  loader.commit(loaded.snapshot)
  await loader.reload()
  expect(notes).toEqual(["make one"])
})

test("setup may give a Promise, or an Effect whose scope lives as long as the version", async () => {
  const notes = journal()
  await using folder = new PolicyFolder({
    "promise.js": `export const setup = async () => ({ name: "promised", async [Symbol.asyncDispose]() { ${note("dispose promised")} } })
      export const on_tcp_connect = (_, { name }) => name`,
    "effect.js": `import { Effect } from "effect"
      export const setup = () => Effect.acquireRelease(Effect.succeed({ name: "effected" }), () => Effect.sync(() => ${note("release effected")}))
      export const on_tcp_connect = (_, { name }) => name`,
    "plain.js": withSetup("plain"),
    "nothing.js": "export const setup = () => undefined\nexport const on_tcp_connect = (_, resources) => resources",
  })
  const loader = folder.loader()
  const loaded = await loader.reload()
  expect(problems(loaded, folder)).toEqual([])
  expect(["promise.js", "effect.js", "nothing.js"].map((file) => answer(loaded, file))).toEqual([
    "promised",
    "effected",
    undefined,
  ])
  expect(notes).toEqual(["make plain"])
  await loader.close()
  expect(notes.toSorted()).toEqual(["dispose plain", "dispose promised", "make plain", "release effected"])
})

test("the resources of an old version are disposed when its last connection has ended", async () => {
  const notes = journal()
  await using folder = new PolicyFolder({ "a.js": withSetup("one") })
  const loader = folder.loader()
  const first = await loader.reload()
  const connection = open(first)
  const other = open(first)
  folder.write("a.js", withSetup("two"))
  const second = await loader.load()
  expect(notes).toEqual(["make one", "make two"])
  other[Symbol.dispose]()
  loader.commit(second.snapshot)
  expect(notes).toEqual(["make one", "make two"])
  expect([answer(first, "a.js"), answer(second, "a.js")]).toEqual(["one", "two"])
  connection[Symbol.dispose]()
  expect(notes).toEqual(["make one", "make two", "dispose one"])
})

test("the resources of a version without connections are disposed at the commit that replaces it", async () => {
  const notes = journal()
  await using folder = new PolicyFolder({ "a.js": withSetup("one") })
  const loader = folder.loader()
  await loader.reload()
  folder.write("a.js", withSetup("two"))
  const second = await loader.load()
  expect(notes).toEqual(["make one", "make two"])
  loader.commit(second.snapshot)
  expect(notes).toEqual(["make one", "make two", "dispose one"])
  folder.remove("a.js")
  folder.write("b.js", `export const on_tcp_connect = 1`)
  await loader.reload()
  expect(notes).toEqual(["make one", "make two", "dispose one", "dispose two"])
})

test("a version that serves on through other reloads is not disposed", async () => {
  const notes = journal()
  await using folder = new PolicyFolder({ "a.js": withSetup("one"), "b.js": withSetup("b1", "", 9001) })
  const loader = folder.loader()
  const first = await loader.reload()
  using _ = open(first)
  folder.write("b.js", withSetup("b2", "", 9001))
  await loader.reload()
  folder.write("a.js", "broken(")
  const kept = await loader.reload()
  expect(answer(kept, "a.js")).toBe("one")
  expect(notes).toEqual(["make one", "make b1", "make b2", "dispose b1"])
})

test("a version that was set up for a snapshot which was never committed is disposed too", async () => {
  const notes = journal()
  await using folder = new PolicyFolder({ "a.js": withSetup("one") })
  const loader = folder.loader()
  await loader.reload()
  folder.write("a.js", withSetup("two"))
  await loader.load()
  folder.write("a.js", withSetup("three"))
  await loader.reload()
  expect(notes).toEqual(["make one", "make two", "make three", "dispose one", "dispose two"])
})

test("committing a snapshot leaves alone what a later load has made", async () => {
  const notes = journal()
  await using folder = new PolicyFolder({ "a.js": withSetup("one") })
  const loader = folder.loader()
  const first = await loader.load()
  folder.write("a.js", withSetup("two"))
  const second = await loader.load()
  loader.commit(first.snapshot)
  expect(notes).toEqual(["make one", "make two"])
  loader.commit(second.snapshot)
  expect(notes).toEqual(["make one", "make two", "dispose one"])
  const connection = open(second)
  folder.write("a.js", withSetup("three"))
  await loader.reload()
  expect(notes).toEqual(["make one", "make two", "dispose one", "make three"])
  connection[Symbol.dispose]()
  expect(notes).toEqual(["make one", "make two", "dispose one", "make three", "dispose two"])
})

test("closing disposes everything but what live connections use", async () => {
  const notes = journal()
  await using folder = new PolicyFolder({ "a.js": withSetup("one"), "b.js": withSetup("b1", "", 9001) })
  const loader = folder.loader()
  const connection = open(await loader.reload())
  await loader.close()
  expect(notes).toEqual(["make one", "make b1", "dispose b1"])
  connection[Symbol.dispose]()
  expect(notes).toEqual(["make one", "make b1", "dispose b1", "dispose one"])
})

test.each([
  ["throws", `export function setup() {\n  throw new Error("no db")\n}`, "a.js:4:13 setup failed: Error: no db"],
  [
    "rejects",
    `export async function setup() {\n  await null\n  throw new Error("no db")\n}`,
    "a.js:5:13 setup failed: Error: no db",
  ],
  ["throws no error", `export async function setup() {\n  throw "up"\n}`, `a.js:3:23 setup failed: "up"`],
  [
    "fails as an Effect",
    `import { Effect } from "effect"\nexport const setup = () => Effect.fail("no db")`,
    'a.js:4:14 setup failed: "no db"',
  ],
  ["hangs", `export const setup = () => new Promise(() => {})`, "a.js:3:14 setup took longer than 0.15 seconds"],
])("a setup that %s makes a bad file, which a retry may mend", async (_, setup, expected) => {
  await using folder = new PolicyFolder({
    "a.js": `export const listen = "tcp://127.0.0.1:9000"\nexport const on_tcp_connect = () => 1\n${setup}`,
    "b.js": "export const on_tcp_connect = () => 2",
  })
  const loader = folder.loader({ limit: 150 })
  const loaded = await loader.reload()
  expect(problems(loaded, folder)).toEqual([expected])
  expect(states(loaded)).toEqual({ "a.js": "bad", "b.js": "good" })
})

test("a file whose setup failed is set up again by a retry, and not before", async () => {
  const notes = journal()
  await using folder = new PolicyFolder({
    "a.js": `export function setup() { ${note("try")}; if (globalThis.tidegateTestNotes.length < 2) throw new Error() }\nexport const on_tcp_connect = () => 1`,
  })
  const loader = folder.loader()
  expect(states(await loader.reload())).toEqual({ "a.js": "bad" })
  folder.write("b.js", "export const on_tcp_connect = () => 1")
  expect(states(await loader.reload())).toEqual({ "a.js": "bad", "b.js": "good" })
  expect(states(await loader.reload(true))).toEqual({ "a.js": "good", "b.js": "good" })
  expect(notes).toEqual(["try", "try"])
})

test("a changed file whose setup fails keeps the last good version and its resources", async () => {
  const notes = journal()
  await using folder = new PolicyFolder({ "a.js": withSetup("one") })
  const loader = folder.loader()
  await loader.reload()
  folder.write("a.js", withSetup("two").replace(note("make two"), `throw new Error("no db")`))
  const kept = await loader.reload()
  expect(states(kept)).toEqual({ "a.js": "kept" })
  expect(answer(kept, "a.js")).toBe("one")
  folder.write("a.js", withSetup("three"))
  expect(answer(await loader.reload(), "a.js")).toBe("three")
  expect(notes).toEqual(["make one", "make three", "dispose one"])
})

test("what a setup gives after it was given up is disposed", async () => {
  const notes = journal()
  const late = Promise.withResolvers<void>()
  Reflect.set(globalThis, "tidegateTestLate", late.promise)
  await using folder = new PolicyFolder({
    "a.js": `export async function setup() {\n  await globalThis.tidegateTestLate\n  return { [Symbol.dispose]() { ${note("dispose late")} } }\n}\nexport const on_tcp_connect = () => 1`,
  })
  expect(states(await folder.loader({ limit: 50 }).reload())).toEqual({ "a.js": "bad" })
  expect(notes).toEqual([])
  late.resolve()
  await until(() => notes.length > 0)
  expect(notes).toEqual(["dispose late"])
})

test("an Effect that is given up is interrupted and its scope closed", async () => {
  const notes = journal()
  await using folder = new PolicyFolder({
    "a.js": `import { Effect } from "effect"
export const setup = () => Effect.andThen(Effect.acquireRelease(Effect.void, () => Effect.sync(() => ${note("release")})), Effect.never)
export const on_tcp_connect = () => 1`,
  })
  expect(states(await folder.loader({ limit: 100 }).reload())).toEqual({ "a.js": "bad" })
  await until(() => notes.length > 0)
  expect(notes).toEqual(["release"])
})

test("setup is not run where the loader is told so", async () => {
  const notes = journal()
  await using folder = new PolicyFolder({ "a.js": withSetup("one") })
  const loaded = await folder.loader({ runSetup: false }).reload()
  expect(states(loaded)).toEqual({ "a.js": "good" })
  expect(version(loaded, "a.js").resources).toBeUndefined()
  expect(notes).toEqual([])
})

test("a file that loses a conflict is not set up, nor one whose rival's setup failed set up twice", async () => {
  const notes = journal()
  await using folder = new PolicyFolder({
    "a.js": withSetup("one", "maxConnections: 1").replace(note("make one"), `throw new Error("no db")`),
    "b.js": withSetup("two", "maxConnections: 2"),
  })
  utimesSync(folder.at("a.js"), 1000, 1000)
  const loaded = await folder.loader().reload()
  expect(states(loaded)).toEqual({ "a.js": "bad", "b.js": "good" })
  expect(notes).toEqual(["make two"])
})

test("a version that gives way to another file is disposed, and set up again when it comes back", async () => {
  const notes = journal()
  await using folder = new PolicyFolder({ "a.js": withSetup("one", "maxConnections: 1") })
  const loader = folder.loader()
  const first = await loader.reload()
  folder.write("b.js", withSetup("two", "maxConnections: 2"))
  utimesSync(folder.at("b.js"), 1000, 1000)
  expect(states(await loader.reload())).toEqual({ "a.js": "bad", "b.js": "good" })
  expect(notes).toEqual(["make one", "make two", "dispose one"])
  folder.remove("b.js")
  const back = await loader.reload()
  expect(notes).toEqual(["make one", "make two", "dispose one", "make one", "dispose two"])
  expect(answer(back, "a.js")).toBe("one")
  expect(version(back, "a.js")).not.toBe(version(first, "a.js"))
})

test("a disposal that fails is told, and holds nothing up", async () => {
  const failures: string[] = []
  await using folder = new PolicyFolder({
    "a.js": `export const setup = () => ({ [Symbol.dispose]() { throw new Error("stuck") } })\nexport const on_tcp_connect = () => 1`,
    "b.js": `export const setup = () => ({ async [Symbol.asyncDispose]() { await new Promise(() => {}) } })\nexport const on_tcp_connect = () => 1`,
  })
  const loader = folder.loader({
    limit: 50,
    onDisposeFailed: ({ error, file }) => void failures.push(`${file}: ${error}`),
  })
  await loader.reload()
  await loader.close()
  expect(failures).toEqual(["a.js: Error: stuck", "b.js: GivenUp: the disposal took longer than 0.05 seconds"])
})
