// Which files are policies, what they may export, and what is said about those that are wrong.
import { expect, test } from "bun:test"
import { mkdirSync, rmSync, symlinkSync } from "node:fs"
import { renderDiagnostic } from "../../src/config/diagnostic.ts"
import { NO_SETTINGS } from "../../src/policy/listener-options.ts"
import { random } from "../helper/random.ts"
import { answer, plan, policy, PolicyFolder, problems, states, version } from "./policy-folder.ts"

test("every top-level ts, js and mts file is a policy; tests, declarations, dot files and sub-folders are not", async () => {
  await using folder = new PolicyFolder({
    "a.ts": policy("1"),
    "b.js": "export function on_tcp_connect() { return 2 }",
    "c.mts": "export function on_tcp_connect(): number { return 3 }",
    "a.test.ts": "throw 1",
    "a.spec.ts": "throw 1",
    "types.d.ts": "throw 1",
    "types.d.mts": "throw 1",
    ".hidden.ts": "throw 1",
    "readme.md": "",
    "deno.json": "{}",
    "lib/x.ts": "throw 1",
    "folder.ts/x.ts": "throw 1",
  })
  const loaded = await folder.loader().load()
  expect(states(loaded)).toEqual({ "a.ts": "good", "b.js": "good", "c.mts": "good" })
  expect([answer(loaded, "a.ts"), answer(loaded, "b.js"), answer(loaded, "c.mts")]).toEqual([1, 2, 3])
  expect(loaded.problems).toEqual([])
})

test("a default export may be an object of the exports, whose functions keep their this, or on_tcp_connect itself", async () => {
  await using folder = new PolicyFolder({
    "object.ts": `export default { listen: "tcp://:9000", deadline: "2 seconds", word: "own", on_tcp_connect() { return this.word } }`,
    "class.ts": `class P { word = "class"; on_tcp_connect() { return this.word } }\nexport default new P()`,
    "function.ts": `export const listen = "tcp://:9001"\nexport default () => "function"`,
  })
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([])
  expect(["object.ts", "class.ts", "function.ts"].map((file) => answer(loaded, file))).toEqual([
    "own",
    "class",
    "function",
  ])
  expect(version(loaded, "object.ts").deadline).toBe(2000)
  expect([...loaded.snapshot.listeners.keys()]).toEqual(["tcp:*:9001", "tcp:*:9000"])
})

test("a policy version says where it is from, and what it exports", async () => {
  await using folder = new PolicyFolder({
    "a.ts": policy("1", { before: "export const deadline = 500\nexport function on_tcp_close() {}" }),
  })
  const loaded = await folder.loader().load()
  expect(version(loaded, "a.ts")).toEqual({
    file: "a.ts",
    title: undefined,
    path: folder.at("a.ts"),
    version: expect.stringMatching(/^[0-9a-f]{12}$/),
    listen: [
      {
        url: "tcp://127.0.0.1:9000",
        scheme: "tcp",
        pattern: undefined,
        bind: { kind: "tcp", address: "127.0.0.1", port: 9000 },
        ...NO_SETTINGS,
      },
    ],
    last: false,
    deadline: 500,
    pools: new Map(),
    connect: expect.any(Function),
    closed: expect.any(Function),
    hasSetup: false,
    resources: undefined,
    failures: { count: 0, logged: new Set() },
  })
  expect(plan(loaded, "tcp:127.0.0.1:9000")).toEqual({
    identity: "tcp:127.0.0.1:9000",
    name: "127.0.0.1:9000",
    url: "tcp://127.0.0.1:9000",
    scheme: "tcp",
    bind: { kind: "tcp", address: "127.0.0.1", port: 9000 },
    ...NO_SETTINGS,
    policies: [version(loaded, "a.ts")],
    names: undefined,
    files: ["a.ts"],
    usage: plan(loaded, "tcp:127.0.0.1:9000").usage,
  })
})

test("other exports are left alone", async () => {
  await using folder = new PolicyFolder({
    "a.ts": policy("1", {
      before:
        "export const office = 1\nexport class Db {}\nexport type Lisen = 1\nexport const lists = 1, ports = 2, tools = 3",
    }),
  })
  expect((await folder.loader().load()).problems).toEqual([])
})

test.each([
  [
    "a misspelt export",
    `export const lisen = 1\nexport function on_tcp_connect() {}`,
    `a.ts:1:14 lisen is not an export that a policy has; did you mean "listen"?`,
  ],
  [
    "a misspelt on_tcp_connect",
    `// on_tcp_conect\n\nexport function on_tcp_conect() {}`,
    `a.ts:3:17 on_tcp_conect is not an export that a policy has; did you mean "on_tcp_connect"?`,
  ],
  [
    "a misspelt export under another name",
    `const x = () => 1\nexport { x as on_tcp_conect }`,
    `a.ts:2:15 on_tcp_conect is not an export that a policy has; did you mean "on_tcp_connect"?`,
  ],
  [
    "a misspelt field of a default export",
    `export default {\n  // lisen\n  lisen: 1, on_tcp_connect() {} }`,
    `a.ts:3:3 lisen is not an export that a policy has; did you mean "listen"?`,
  ],
  [
    "misspelt pools",
    `export const pool = {}\nexport function on_tcp_connect() {}`,
    `a.ts:1:14 pool is not an export that a policy has; did you mean "pools"?`,
  ],
  ["a missing on_tcp_connect", `export const office = 1`, `a.ts on_tcp_connect is missing: it exports office`],
  ["no exports", `// nothing`, `a.ts on_tcp_connect is missing: it exports nothing`],
  ["an empty file", `\n`, `a.ts the file is empty`],
  ["a CommonJS file", `module.exports = { on_tcp_connect() {} }`, `a.ts on_tcp_connect is missing: it exports nothing`],
  [
    "an export twice",
    `export default { on_tcp_connect() {} }\nexport function on_tcp_connect() {}`,
    `a.ts:2:17 on_tcp_connect is exported by name and in the default export; leave one out`,
  ],
  [
    "an on_tcp_connect that is no function",
    `export const on_tcp_connect = 5`,
    `a.ts:1:14 on_tcp_connect: expected a function, found 5`,
  ],
  [
    "a setup that is no function",
    `export const setup = {}\nexport function on_tcp_connect() {}`,
    `a.ts:1:14 setup: expected a function, found an object`,
  ],
  [
    "a bad listen",
    `const listen = "tcp://db"\nexport { listen }\nexport function on_tcp_connect() {}`,
    `a.ts:2:10 listen "tcp://db": expected a port, like "tcp://:5432" or "tcp://127.0.0.1:5432"`,
  ],
  [
    "a bad deadline",
    `export const listen = "tcp://:1", deadline = "soon"\nexport function on_tcp_connect() {}`,
    `a.ts:1:35 deadline: "soon" is not a duration: expected one like "5 seconds", "250 ms" or a number of milliseconds, at most 30 days`,
  ],
  [
    "a deadline of 0",
    `export const deadline = 0\nexport function on_tcp_connect() {}`,
    `a.ts:1:14 deadline: 0 would fail every answer that waits; leave it out for the default`,
  ],
  [
    "a syntax error",
    `export const listen = "tcp://:1"\nexport function on_tcp_connect( {`,
    `a.ts:2:33 Expected identifier but found end of file`,
  ],
  ["an error that only the loader sees", `\nconst x = 1\nconst x = 2`, `a.ts:3:7 "x" has already been declared`],
  [
    "a missing file",
    `import { x } from "tidegate"\n/* "./nix.ts" */ import y from './nix.ts'\ny()`,
    `a.ts:2:33 cannot find "./nix.ts"`,
  ],
  [
    "a missing file with a near name",
    `import { y } from "./lib/datas.ts"\ny()`,
    `a.ts:1:20 cannot find "./lib/datas.ts"; did you mean "./lib/data.ts"?`,
  ],
  ["a missing package", `import pg from "pg"\npg()`, `a.ts:1:17 cannot find the package "pg"`],
  [
    "a missing package in a dynamic import",
    `export const f = () => import("@scope/pkg/sub")`,
    `a.ts:1:32 cannot find the package "@scope/pkg"`,
  ],
  [
    "a misspelt tidegate",
    `import { route } from "tidgate"\nroute("tcp://a:1")`,
    `a.ts:1:24 cannot find the package "tidgate"; did you mean "tidegate"?`,
  ],
  [
    "a file imported like a package",
    `import { y } from "lib/data.ts"\ny()`,
    `a.ts:1:20 cannot find the package "lib"; did you mean "./lib/data.ts"?`,
  ],
  [
    "an unknown module of effect",
    `import * as E from "effect/Efect"\nE.x()`,
    `a.ts:1:21 there is no module "effect/Efect"; did you mean "effect/Effect"?`,
  ],
  ["a path through a file", `import x from "./lib/data.ts/x.ts"\nx()`, `a.ts:1:16 cannot find "./lib/data.ts/x.ts"`],
  ["a specifier that is no path", `import x from "./x\\0"\nx()`, `a.ts the import of "./x\0" cannot be followed`],
  [
    "a file URL of another machine",
    `import x from "file://host/x.ts"\nx()`,
    `a.ts:1:16 cannot import "file://host/x.ts": code never comes in over the network`,
  ],
  [
    "a URL",
    `import x from "https://example.com/x.ts"\nx()`,
    `a.ts:1:16 cannot import "https://example.com/x.ts": code never comes in over the network`,
  ],
  [
    "a missing export of tidegate",
    `import { deny, rout } from "tidegate"\nrout(deny())`,
    `a.ts:1:16 "tidegate" has no export rout; did you mean "route"?`,
  ],
  [
    "a missing export of a file",
    `// dat\nimport {\n  dat,\n} from "./lib/data.ts"\ndat()`,
    `a.ts:3:3 "./lib/data.ts" has no export dat; did you mean "data"?`,
  ],
  [
    "a missing export that is passed on",
    `export { dat } from "./lib/data.ts"`,
    `a.ts:1:10 "./lib/data.ts" has no export dat; did you mean "data"?`,
  ],
  [
    "a throw",
    `const who: string = "me"\ntype T = 1\n\n  throw new TypeError("not " + who)`,
    `a.ts:4:13 TypeError: not me`,
  ],
  [
    "a throw behind an import on the same line",
    `import { data } from "./lib/data.ts"; throw new TypeError("" + data)`,
    `a.ts:1:49 TypeError: 1`,
  ],
  [
    "an error of a constructor of ours",
    `import { cidrs } from "tidegate"\nexport const office = cidrs("10.0.0.0/40")`,
    `a.ts:2:23 CidrInvalid: "10.0.0.0/40" is not a CIDR: the prefix length of an IPv4 address is 0 to 32`,
  ],
  ["a throw of no error", `throw "up"`, `a.ts threw "up"`],
  ["a rejected top-level await", `\nawait Promise.reject(new Error("away"))`, `a.ts:2:26 Error: away`],
  ["a syntax error in an imported file", `import { x } from "./lib/bad.ts"\nx()`, `lib/bad.ts:2:18 Unexpected =`],
  ["a throw in an imported file", `import { x } from "./lib/throws.ts"\nx()`, `lib/throws.ts:2:11 Error: lib`],
  ["broken JSON", `import x from "./lib/bad.json"\nx()`, `lib/bad.json:2:8 JSON Parse error: Unexpected token '}'`],
  [
    "an import written with escapes",
    `import { data } from "./lib/\\x64ata.ts"\ndata()`,
    `a.ts the import of "./lib/data.ts" cannot be followed`,
  ],
])("%s is reported with its place", async (_, text, expected) => {
  await using folder = new PolicyFolder({
    "lib/data.ts": "export const data = 1",
    "lib/bad.ts": "\nexport const x = = 2",
    "lib/throws.ts": `\nthrow new Error("lib")\nexport const x = 1`,
    "lib/bad.json": `{\n  "a": }`,
    "a.ts": text,
  })
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([expected])
  expect(states(loaded)).toEqual({ "a.ts": "bad" })
})

test("every problem of every file is reported, once, and says whom an imported file's problem concerns", async () => {
  await using folder = new PolicyFolder({
    "lib/bad.ts": "\nexport const x = = 2",
    "a.ts": `import { x } from "./lib/bad.ts"\nx()`,
    "b.ts": `import { x } from "./lib/bad.ts"\nx()`,
    "c.ts": `export const lisen = 1, dedline = 2`,
  })
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([
    "lib/bad.ts:2:18 Unexpected =",
    `c.ts:1:25 dedline is not an export that a policy has; did you mean "deadline"?`,
    `c.ts:1:14 lisen is not an export that a policy has; did you mean "listen"?`,
  ])
  expect(loaded.problems[0]?.hint).toBe("imported by a.ts")
  expect(loaded.snapshot.files.map(({ problems: [first] }) => first?.split(" ")[0])).toEqual([
    `${folder.at("lib/bad.ts")}:2:18`,
    `${folder.at("lib/bad.ts")}:2:18`,
    `${folder.at("c.ts")}:1:25`,
  ])
})

test("of very many errors in one file the first five lines are reported", async () => {
  await using folder = new PolicyFolder({ "a.ts": "const x = 1\n".repeat(20) })
  const lines = (await folder.loader().load()).problems.map(({ line }) => line)
  expect(lines).toEqual([2, 3, 4, 5, 6])
})

test("a problem is shown with the lines around it", async () => {
  await using folder = new PolicyFolder({ "a.ts": `// one\n// two\nexport const lisen = "tcp://:1"\n` })
  const {
    problems: [problem],
  } = await folder.loader().load()
  expect(renderDiagnostic(problem!).replace(folder.path, "")).toBe(
    `/a.ts:3:14 lisen is not an export that a policy has; did you mean "listen"?
  1 | // one
  2 | // two
> 3 | export const lisen = "tcp://:1"
                   ^`,
  )
})

test("no text makes a load fail, wherever it is cut off", async () => {
  const text = `import { route, cidrs } from "tidegate"
import { data } from "./lib/data.ts"
import json from "./lib/d.json" with { type: "json" }
export const listen = [{ url: "tcp://127.0.0.1:9000-9002", maxConnections: 5 }, "unix:/run/x.sock"]
export const deadline = "2 seconds"
const office = cidrs("10.0.0.0/8", \`192.168.0.0/\${8 + 8}\`)
export const setup = () => ({ office, late: import("./lib/data.ts") })
export default { on_tcp_close() {} }
export function on_tcp_connect(_: unknown, { office }: any) { return /[/"]./.test(data) ? route(json.url) : office }
`
  const { below } = random(3)
  await using folder = new PolicyFolder({
    "lib/data.ts": "export const data = 1",
    "lib/d.json": `{ "url": "tcp://a:1" }`,
  })
  const loader = folder.loader()
  const seen = new Set<string>()
  for (let end = 0; end < text.length - 2; end += 1 + below(4)) {
    folder.write("a.ts", text.slice(0, end))
    folder.write("b.ts", text.slice(0, end) + String.fromCharCode(below(0x180)) + text.slice(end + below(3)))
    seen.add(states(await loader.reload())["a.ts"] ?? "none")
  }
  folder.write("a.ts", text)
  const last = await loader.reload()
  expect([...seen]).toEqual(["bad"])
  expect(states(last)["a.ts"]).toBe("good")
})

test("a package of a node_modules folder above the policies is left to Bun", async () => {
  await using folder = new PolicyFolder({ "a.ts": policy("word", { before: `import word from "some-words"` }) })
  folder.write("../node_modules/some-words/package.json", `{"name":"some-words","main":"index.js","type":"module"}`)
  folder.write("../node_modules/some-words/index.js", `export default "found"`)
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([])
  expect(answer(loaded, "a.ts")).toBe("found")
})

test("data files can be imported, by extension and by attribute", async () => {
  await using folder = new PolicyFolder({
    "lib/d.json": `{ "word": "json" }`,
    "lib/d.toml": `word = "toml"`,
    "lib/d.yaml": `word: yaml`,
    "lib/d.txt": "text",
    "lib/list.csv": "a,b",
    "a.ts": policy("[json.word, word, toml.word, yaml.word, text, csv, late]", {
      before: `import json, { word } from "./lib/d.json"
        import toml from "./lib/d.toml" with { type: "toml" }
        import yaml from "./lib/d.yaml"
        import text from "./lib/d.txt" with { type: "text" }
        import csv from "./lib/list.csv" with { type: "text" }
        const { default: late } = await import("./lib/d.json", { with: { type: "text" } })`,
    }),
  })
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([])
  expect(answer(loaded, "a.ts")).toEqual(["json", "json", "toml", "yaml", "text", "a,b", `{ "word": "json" }`])
})

test("an import of any other kind is left to Bun", async () => {
  await using folder = new PolicyFolder({
    "a.ts": policy("path", { before: `import path from "./lib/list.bin" with { type: "file" }` }),
    "lib/list.bin": "",
  })
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([])
  expect(answer(loaded, "a.ts")).toBe(folder.at("lib/list.bin"))
})

test("paths with all kinds of characters work", async () => {
  const name = `od'd "na\`me" ${"${x}"} %41 #é😀 (1)`
  await using folder = new PolicyFolder({
    [`${name}.ts`]: policy("[x, y, z]", {
      before: `import { x } from "./l i%62 #/x.ts"; import { y } from "./größe/ \`'.ts"
        const { z } = await import("./größe/z.ts")`,
    }),
    "l i%62 #/x.ts": `export const x = "x"`,
    "größe/ `'.ts": `export const y = "y"`,
    "größe/z.ts": `export const z = "z"`,
  })
  const loader = folder.loader()
  const loaded = await loader.reload()
  expect(problems(loaded, folder)).toEqual([])
  expect(answer(loaded, `${name}.ts`)).toEqual(["x", "y", "z"])
  folder.write("größe/z.ts", `export const z = "Z"`)
  expect(answer(await loader.reload(), `${name}.ts`)).toEqual(["x", "y", "Z"])
})

test("a package that is there but lacks what is imported is reported at the import", async () => {
  await using folder = new PolicyFolder({ "a.ts": `import { x } from "here"\nimport y from "here/nix"\ny(x)` })
  folder.write("node_modules/here/package.json", `{ "name": "here", "main": "index.js", "type": "module" }`)
  folder.write("node_modules/here/index.js", "export const x = 1")
  expect(problems(await folder.loader().load(), folder)).toEqual([`a.ts:2:16 cannot find "here/nix"`])
})

test("imports without extension, of a folder, and of .js for .ts are found", async () => {
  await using folder = new PolicyFolder({
    "a.ts": policy("[a, b, c]", {
      before: `import { a } from "./lib/a"; import { b } from "./lib"; import { c } from "./lib/c.js"`,
    }),
    "lib/a.ts": `export const a = 1`,
    "lib/index.ts": `export const b = 2`,
    "lib/c.ts": `export const c = 3`,
  })
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([])
  expect(answer(loaded, "a.ts")).toEqual([1, 2, 3])
})

test("a file with a hashbang and a byte order mark is a policy", async () => {
  await using folder = new PolicyFolder({
    "a.ts": `#!/usr/bin/env bun\nimport { x } from "./lib/x.ts"\n${policy("x")}`,
    "b.ts": `\uFEFF${policy("1")}`,
    "lib/x.ts": `export const x = 1`,
  })
  expect(problems(await folder.loader().load(), folder)).toEqual([])
})

test("an unused or type-only import is none, as when Bun runs the file", async () => {
  await using folder = new PolicyFolder({
    "a.ts": policy("1", { before: `import type { A } from "./nix.ts"\nimport { B } from "not-there"\nlet x: A | B` }),
  })
  expect((await folder.loader().load()).problems).toEqual([])
})

test("a folder that is missing, or no folder, or without policies or listeners is a clear error", async () => {
  await using folder = new PolicyFolder({ "readme.md": "" })
  const loader = folder.loader()
  expect(problems(await loader.load(), folder)).toEqual([". there is no policy in this folder"])
  folder.write("a.ts", "export function on_tcp_connect() {}")
  expect(problems(await loader.load(), folder)).toEqual([
    ". no policy in this folder has a `listen`: there is nothing to serve",
  ])
  rmSync(folder.path, { recursive: true })
  expect(problems(await loader.load(), folder)).toEqual([". there is no such folder"])
  folder.write("../file", "")
  symlinkSync("file", folder.path)
  expect(problems(await loader.load(), folder)).toEqual([". is not a folder"])
})

test("what is no readable file is bad, without waiting for it", async () => {
  await using folder = new PolicyFolder({ "a.ts": policy("1") })
  symlinkSync("nowhere", folder.at("dangling.ts"))
  symlinkSync("loop.ts", folder.at("loop.ts"))
  Bun.spawnSync(["mkfifo", folder.at("pipe.ts")])
  symlinkSync("folder", folder.at("linked.ts"))
  mkdirSync(folder.at("folder"))
  folder.write("huge.ts", `//${" ".repeat(5 * 1024 * 1024)}`)
  const loaded = await folder.loader().load()
  expect(problems(loaded, folder)).toEqual([
    "dangling.ts cannot be read: there is no such file",
    "huge.ts 5242882 bytes; such a file has at most 4194304",
    "loop.ts cannot be read: its links lead in a circle",
    "pipe.ts cannot be read: it is not a file",
  ])
})

test("top-level code that hangs is given up, others load meanwhile, and a retry can succeed", async () => {
  await using folder = new PolicyFolder({
    "a.ts": policy("1", { before: `await globalThis.tidegateTestHang` }),
    "b.ts": policy("2"),
  })
  Reflect.set(globalThis, "tidegateTestHang", new Promise(() => {}))
  const loader = folder.loader({ limit: 150 })
  const hung = await loader.reload()
  expect(problems(hung, folder)).toEqual(["a.ts the top-level code took longer than 0.15 seconds"])
  expect(states(hung)).toEqual({ "a.ts": "bad", "b.ts": "good" })
  Reflect.deleteProperty(globalThis, "tidegateTestHang")
  expect(states(await loader.reload())).toEqual({ "a.ts": "bad", "b.ts": "good" })
  const retried = await loader.reload(true)
  expect(states(retried)).toEqual({ "a.ts": "good", "b.ts": "good" })
  expect(answer(retried, "a.ts")).toBe(1)
})

test("a file whose top-level code waits does not hold up the others", async () => {
  Reflect.set(globalThis, "tidegateTestGate", Promise.withResolvers())
  await using folder = new PolicyFolder({
    "a.ts": policy("1", { before: "await globalThis.tidegateTestGate.promise" }),
    "b.ts": policy("2", { before: "globalThis.tidegateTestGate.resolve()" }),
  })
  expect(states(await folder.loader({ limit: 2000 }).load())).toEqual({ "a.ts": "good", "b.ts": "good" })
})

test("what was read is what is evaluated, also when the files are gone by then", async () => {
  await using folder = new PolicyFolder({
    "b.ts": policy("[x, y]", { before: `import { x } from "./lib/x.ts"; const { y } = await import("./lib/y.ts")` }),
    "lib/x.ts": "export const x = 1",
    "lib/y.ts": "export const y = 2",
  })
  const gone = [folder.at("b.ts"), folder.at("lib")].map((path) => JSON.stringify(path))
  folder.write(
    "a.ts",
    policy("1", {
      before: `import { rmSync } from "node:fs"\n${gone.map((path) => `rmSync(${path}, { recursive: true })`).join("\n")}`,
    }),
  )
  const loader = folder.loader()
  const loaded = await loader.reload()
  expect(problems(loaded, folder)).toEqual([])
  expect(answer(loaded, "b.ts")).toEqual([1, 2])
  expect(states(await loader.reload())).toEqual({ "a.ts": "good" })
})

test("closing does not wait for what hangs", async () => {
  await using folder = new PolicyFolder({ "a.ts": "await new Promise(() => {})" })
  const loader = folder.loader()
  const loading = loader.load()
  await loader.close()
  expect(problems(await loading, folder)).toEqual(["a.ts the top-level code was given up: the gateway ends"])
})

test("the file that is evaluated is known to whoever watches", async () => {
  const seen: string[] = []
  Reflect.set(globalThis, "tidegateTestSeen", seen)
  await using folder = new PolicyFolder({
    "a.ts": policy("1", { before: `globalThis.tidegateTestSeen.push("a")` }),
    "b.ts": policy("2", { before: `export const setup = () => void globalThis.tidegateTestSeen.push("setup of b")` }),
  })
  const hooks = { onEvaluate: (file: string) => void seen.push(`<${file}`), onEvaluated: () => void seen.push(">") }
  await folder.loader(hooks).load()
  expect(seen).toEqual(["<a.ts", "a", ">", "<b.ts", ">", "<b.ts", "setup of b", ">"])
})
