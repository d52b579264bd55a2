import { expect, setDefaultTimeout, test } from "bun:test"
import { chmod, symlink } from "node:fs/promises"
import { join } from "node:path"
import { folder, tidegate } from "../helper/cli.ts"

// Processes that compile share the machine with all others that run at the same time.
setDefaultTimeout(60_000)

const good = `import { next } from "tidegate"
export const listen = "tcp://127.0.0.1:9000"
export function on_tcp_connect() {
  return next
}
`

test.concurrent("good policies: who is asked where, exit code 0", async () => {
  await using dir = await folder({
    "a.ts": good,
    "b.ts": good.replace(`"tcp://127.0.0.1:9000"`, `["tcp://127.0.0.1:9000", "unix:/run/x.sock"]`),
    "all.js": `import { deny } from "tidegate"\nexport const on_tcp_connect = () => deny()\n`,
    "lib/x.ts": "not code at all",
  })
  expect(await tidegate(["check", dir.path])).toEqual({
    code: 0,
    stdout:
      "3 policies on 2 listeners\n" +
      "  tcp://127.0.0.1:9000  asks a.ts, then all.js, then b.ts\n" +
      "  unix:/run/x.sock      asks all.js, then b.ts\n",
    stderr: "",
  })
})

function serving(...urls: string[]): string {
  return good.replace(`"tcp://127.0.0.1:9000"`, JSON.stringify(urls))
}

test.concurrent("listeners with server names show who is asked about which", async () => {
  const names = Array.from({ length: 12 }, (_, i) => `tls://n${i}.example:443`)
  await using dir = await folder({
    "a.ts": serving("tls://db.example.com:443", "tls://*.example.com:443", "postgres://shop.example.com:5432"),
    "b.ts": serving("tls://db.example.com:443", "tls://:443", "tcp://:80"),
    "many.ts": serving(...names),
    "z-all.ts": `import { next } from "tidegate"\nexport const on_tcp_connect = () => next\n`,
  })
  expect(await tidegate(["check", dir.path])).toEqual({
    code: 0,
    stdout: `4 policies on 3 listeners
  tls://:443        asks by server name
    db.example.com                                                         asks a.ts, then b.ts, then z-all.ts
    *.example.com                                                          asks a.ts, then z-all.ts
    n0.example, n1.example, n2.example, n3.example, n4.example and 7 more  asks many.ts, then z-all.ts
    every other                                                            asks b.ts, then z-all.ts
  postgres://:5432  asks by server name
    shop.example.com  asks a.ts, then z-all.ts
  tcp://:80         asks b.ts, then z-all.ts
`,
    stderr: "",
  })
})

test.concurrent("two schemes on one port are a problem of the file that was saved later", async () => {
  await using dir = await folder({ "a.ts": good.replace("tcp://127.0.0.1:9000", "tls://a.example:443") })
  await dir.write("b.ts", good.replace("127.0.0.1:9000", ":443"))
  const { code, stderr } = await tidegate(["check", dir.path])
  expect(code).toBe(2)
  expect(stderr).toContain("are one address and port; a listener has one scheme")
})

test.concurrent("every problem of every file is reported, with its place, its lines and a hint; exit code 2", async () => {
  await using dir = await folder({
    "a-good.ts": good,
    "b-syntax.ts": "export function on_tcp_connect( {\n",
    "c-target.ts": `import { route } from "tidegate"\n\nconst db = route("db:5432")\nexport const on_tcp_connect = () => db\n`,
    "d-misspelt.ts": good.replace("on_tcp_connect", "on_tcp_conect"),
    "e-import.ts": `import { x } from "./missing.ts"\nexport const on_tcp_connect = () => x\n`,
    "f-listen.ts": good.replace("tcp://127.0.0.1:9000", ":9000"),
  })
  const { code, stdout, stderr } = await tidegate(["check", dir.path])
  expect(code).toBe(2)
  expect(stdout).toContain("1 policy on 1 listener")
  expect(stderr).toContain(`${dir.path}/b-syntax.ts:1:`)
  expect(stderr).toContain(`${dir.path}/c-target.ts:3:12`)
  expect(stderr).toContain(`> 3 | const db = route("db:5432")\n                 ^`)
  expect(stderr).toContain('did you mean "tcp://db:5432"?')
  expect(stderr).toContain(`${dir.path}/d-misspelt.ts:3:`)
  expect(stderr).toContain('did you mean "on_tcp_connect"?')
  expect(stderr).toContain(`${dir.path}/e-import.ts:1:`)
  expect(stderr).toContain(`${dir.path}/f-listen.ts:2:`)
  expect(stderr).toContain('did you mean "tcp://:9000"?')
  expect(stderr).toEndWith("5 problems\n")
})

test.concurrent("nothing is bound and no setup is run", async () => {
  using taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } })
  await using dir = await folder({
    "a.ts": `${good.replace("9000", String(taken.port))}\nexport const setup = () => { throw new Error("setup was run") }\n`,
  })
  expect(await tidegate(["check", dir.path])).toMatchObject({ code: 0, stderr: "" })
})

test.concurrent("a folder that is not there, is empty, or has no listener is a problem", async () => {
  await using dir = await folder()
  expect(await tidegate(["check", join(dir.path, "nope")])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("there is no such folder"),
  })
  expect((await tidegate(["check", dir.path])).code).toBe(2)
  await dir.write("a.ts", good.replace("export const listen", "export const unused"))
  expect((await tidegate(["check", dir.path])).code).toBe(2)
})

test.concurrent("what a file says cannot act on the terminal", async () => {
  await using dir = await folder({ "a.ts": `throw new Error("\\u001b[2J" + "\\u202e")\n` })
  const { stderr } = await tidegate(["check", dir.path])
  expect(stderr).toContain("\\e[2J")
  expect(stderr).not.toContain("\u001b")
  expect(stderr).not.toContain("\u202e")
})

test.concurrent("a policy that leaves a timer or a rejection behind does not hold the command up", async () => {
  await using dir = await folder({
    "a.ts": `${good}setInterval(() => {}, 1000)\nvoid Promise.reject(new Error("left behind"))\n`,
  })
  expect(await tidegate(["check", dir.path])).toMatchObject({ code: 0 })
})

test.concurrent("a file whose code does not return ends the command with 70, under its name", async () => {
  await using dir = await folder({ "a.ts": good, "b.ts": `${good}for (;;) {}\n` })
  const { code, stderr } = await tidegate(["check", dir.path])
  expect(code).toBe(70)
  expect(stderr).toContain("b.ts")
})

test.concurrent("--types finds nothing wrong with good policies and their tests, in any folder", async () => {
  await using dir = await folder({
    "a.ts": good,
    "b.ts": `import { Effect, Schedule } from "effect"
import * as Duration from "effect/Duration"
import { next, type Connection, type Policy } from "tidegate"
import { count } from "./lib/count.ts"
export default {
  setup: () => Effect.succeed({ count }),
  on_tcp_connect: (connection: Connection, resources: { count: number }) =>
    Effect.sync(() => {
      console.log(connection.client.address, resources.count, Duration.seconds(1), process.env["HOME"])
      setTimeout(() => fetch("http://127.0.0.1"), 1)
      return next
    }).pipe(Effect.retry(Schedule.recurs(2))),
} satisfies Policy
`,
    "c.js": `export const on_tcp_connect = (connection) => ({ action: "deny" })\n`,
    "lib/count.ts": "export const count: number = 1\n",
    "a.test.ts": `import assert from "node:assert/strict"
import { test } from "node:test"
import { connect } from "tidegate/testing"
import * as a from "./a.ts"
test("passes", async () => assert.equal((await connect(a, { from: "203.0.113.9" })).decision.action, "next"))
`,
    "lib/count.test.ts": `import { expect, test } from "bun:test"\nimport { count } from "./count.ts"\ntest("one", () => expect(count).toBe(1))\n`,
  })
  expect(await tidegate(["check", "--types", dir.path])).toMatchObject({ code: 0, stderr: "" })
})

test.concurrent("--types works for a folder that cannot be written, and for one behind a link", async () => {
  await using dir = await folder({ "real/a.ts": good.replace("return next", "") })
  await symlink("real", join(dir.path, "policies"))
  await chmod(join(dir.path, "real"), 0o555)
  const { code, stderr } = await tidegate(["check", "--types", "policies"], { cwd: dir.path })
  await chmod(join(dir.path, "real"), 0o755)
  expect(code).toBe(2)
  expect(stderr).toContain("policies/a.ts:3:17 on_tcp_connect does not fit the type Policy")
})

test.concurrent("--types reports what an editor would, at its place, in every file", async () => {
  await using dir = await folder({
    "a-forgotten.ts": `import { deny, type Connection } from "tidegate"
export const listen = "tcp://:1"
export async function on_tcp_connect(connection: Connection) {
  if (connection.client.within("10.0.0.0/8")) return deny()
}
`,
    "b-default.ts": `import { next, type Connection } from "tidegate"
export default {
  setup: async () => ({ limit: 5 }),
  on_tcp_connect: (connection: Connection, { limit }: { limit: string }) => next,
}
`,
    "b-function.ts": `export default async function () {}\n`,
    "c-strict.ts": `import { next } from "tidegate"
import { list } from "./lib/list.ts"
export function on_tcp_connect(connection) {
  list[0].trim()
  return next
}
`,
    "d-syntax.ts": "export const on_tcp_connect = (\n",
    "lib/list.ts": `export const list: string[] = [5]\n`,
    "c.test.ts": `const wrong: string = 5\n`,
  })
  const { code, stderr } = await tidegate(["check", "--types", dir.path])
  expect(code).toBe(2)
  const places = [...stderr.matchAll(/^\/.*\/([\w-]+(?:\.test)?\.ts:\d+:\d+)/gm)].map(([, place]) => place)
  expect(places).toEqual([
    expect.stringContaining("d-syntax.ts:"),
    "a-forgotten.ts:3:23",
    "b-default.ts:4:3",
    "b-function.ts:1:8",
    "c-strict.ts:3:32",
    "c-strict.ts:4:3",
    "c.test.ts:1:7",
    "list.ts:1:32",
  ])
  expect(stderr).toContain("hint: on some path on_tcp_connect returns nothing; write `return next`")
  expect(stderr).toContain(
    "> 3 | export async function on_tcp_connect(connection: Connection) {\n                            ^",
  )
  expect(stderr).toEndWith("8 problems\n")
})

test.concurrent("--types says once what is wrong with a file that exports nothing", async () => {
  await using dir = await folder({ "a.ts": good, "b.ts": "const unused = 1\n" })
  const { code, stderr } = await tidegate(["check", "--types", dir.path])
  expect(code).toBe(2)
  expect(stderr).toContain("b.ts on_tcp_connect is missing")
  expect(stderr).toEndWith("\n1 problem\n")
})
