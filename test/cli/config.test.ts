// --config on the command line: what check and explain say of pools and listeners, and that serve takes and follows them.
import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { join } from "node:path"
import { EchoClient, startEcho } from "../helper/echo.ts"
import { folder, tidegate } from "../helper/cli.ts"
import { freePort } from "../helper/ports.ts"
import { RUNTIME, serve } from "../helper/serve.ts"

// Processes share the machine with all others that run at the same time.
setDefaultTimeout(60_000)

const config = `
pools:
  db:
    targets:
      - tcp://db-1.internal:5432
      - { url: tcp://db-2.internal:5432, weight: 2 }
  secret: { targets: [tls://a:1], balance: first }
listeners:
  - { url: tcp://:5432, route: db }
  - { url: tls://a.example:443, route: tcp://web:443 }
`
const files = {
  "policies/a.ts": `import { next } from "tidegate"
export const pools = { web: { targets: ["tcp://w1:80", "tcp://w2:80", "tcp://w3:80", "tcp://w4:80", "tcp://w5:80", "tcp://w6:80"] } }
export const on_tcp_connect = () => next
`,
  "policies/b.ts": `import { route } from "tidegate"
export const listen = ["tcp://:8000-8002", "tls://:444"]
const pools = ["web", "wep", "db"]
export const on_tcp_connect = (connection: { server: { port: number } }) => route(pools[connection.server.port - 8000] ?? "secret")
`,
  "tidegate.yaml": config,
}

async function explain(...args: string[]): Promise<string> {
  await using dir = await folder(files)
  const ran = await tidegate(["explain", "policies", "--config", "tidegate.yaml", "--from", "10.0.0.1", ...args], {
    cwd: dir.path,
  })
  expect(ran.stderr).toBe("")
  expect(ran.code).toBe(0)
  return ran.stdout
}

async function echoes(port: number): Promise<void> {
  const client = await EchoClient.connect(port)
  await client.echo(new Uint8Array(1000).fill(7))
  client.end()
}

describe("check", () => {
  test.concurrent("lists who is asked, the configuration file last, and the pools", async () => {
    await using dir = await folder(files)
    const { code, stderr, stdout } = await tidegate(["check", "policies", "--config", "tidegate.yaml"], {
      cwd: dir.path,
    })
    expect({ code, stderr, stdout }).toEqual({
      code: 0,
      stderr: "",
      stdout: `2 policies and tidegate.yaml on 6 listeners
  tcp://:8000  asks a.ts, then b.ts
  tcp://:8001  asks a.ts, then b.ts
  tcp://:8002  asks a.ts, then b.ts
  tls://:444   asks b.ts, then a.ts
  tcp://:5432  asks a.ts, then tidegate.yaml
  tls://:443   asks by server name
    a.example  asks a.ts, then tidegate.yaml
3 pools
  web     round-robin over tcp://w1:80, tcp://w2:80, tcp://w3:80, tcp://w4:80, tcp://w5:80 and 1 more  (a.ts)
  db      round-robin over tcp://db-1.internal:5432 (weight 1), tcp://db-2.internal:5432 (weight 2)  (tidegate.yaml)
  secret  first over tls://a:1  (tidegate.yaml)
`,
    })
  })

  test.concurrent("needs no folder of policies", async () => {
    await using dir = await folder({ "tidegate.yaml": config })
    const { code, stdout } = await tidegate(["check", "--config", "tidegate.yaml"], { cwd: dir.path })
    expect({ code, first: stdout.split("\n")[0] }).toEqual({ code: 0, first: "tidegate.yaml on 2 listeners" })
  })

  test.concurrent("says what is wrong with the file at its places, exit code 2", async () => {
    await using dir = await folder({
      "tidegate.yaml": config.replace("weight", "wieght").replace("route: db", "route: bd"),
    })
    expect(await tidegate(["check", "--config", "tidegate.yaml"], { cwd: dir.path })).toEqual({
      code: 2,
      stdout: "",
      stderr: `tidegate.yaml:6:42 pools.db.targets[1]: there is no option "wieght"; did you mean "weight"?
  4 |     targets:
  5 |       - tcp://db-1.internal:5432
> 6 |       - { url: tcp://db-2.internal:5432, wieght: 2 }
                                               ^

1 problem
`,
    })
    await dir.write("tidegate.yaml", config.replace("route: db", "route: bd"))
    const { stderr } = await tidegate(["check", "--config", "tidegate.yaml"], { cwd: dir.path })
    expect(stderr).toStartWith('tidegate.yaml:9:32 there is no pool "bd"; did you mean "db"?\n')
  })

  test.concurrent("a file that lies beside the policies, or in their folder, is not read by itself", async () => {
    await using dir = await folder({ ...files, "tidegate.yaml": "not: [good", "policies/tidegate.yaml": "not: [good" })
    const { code, stdout } = await tidegate(["check", "policies"], { cwd: dir.path })
    expect({ code, first: stdout.split("\n")[0] }).toEqual({ code: 0, first: "2 policies on 4 listeners" })
  })

  test.concurrent("a file that is not there, and a policy's pools that are wrong", async () => {
    await using dir = await folder({
      "policies/a.ts": `export const pools = { db: {} }\nexport const on_tcp_connect = () => {}`,
    })
    const { code, stderr } = await tidegate(["check", "policies", "--config", "none.yaml"], { cwd: dir.path })
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: `policies/a.ts:1:14 pools.db: targets is missing: expected a list of 1 to 1,000 targets
> 1 | export const pools = { db: {} }
                   ^

none.yaml cannot be read: there is no such file

2 problems
`,
    })
  })

  test.concurrent("--types holds pools against their type, and says how to write them", async () => {
    const listen = `export const listen = "tcp://:1"\nimport { next, type Pools } from "tidegate"\nexport const on_tcp_connect = () => next\n`
    await using dir = await folder({
      "a.ts": `${listen}export const pools: Pools = { db: { targets: ["tcp://a:1"], balance: "hash", hashOn: "sni" } }`,
      "b.ts": `${listen}export const pools = { db2: { targets: ["tcp://a:1"], balance: "hash" } }`,
    })
    const { code, stderr } = await tidegate(["check", dir.path, "--types"])
    expect(code).toBe(2)
    expect(stderr).toContain("b.ts:4:14 pools does not fit the type Policy")
    expect(stderr).toContain(
      "hint: write `export const pools: Pools = ...`, so that its words are not taken for any text",
    )
    expect(stderr).toContain("1 problem\n")
  })
})

describe("explain", () => {
  test.concurrent("names the pool, and shows it", async () => {
    expect(await explain("--to", "tcp://127.0.0.1:8000")).toEndWith(
      "\nThe gateway would relay to pool web (round-robin over tcp://w1:80, tcp://w2:80, tcp://w3:80, tcp://w4:80, tcp://w5:80 and 1 more).\n",
    )
  })

  test.concurrent("a route of the configuration file is asked last", async () => {
    expect(await explain("--to", "tcp://127.0.0.1:5432")).toBe(`10.0.0.1:49152 connects to 127.0.0.1:5432
listener tcp://:5432 asks a.ts, then tidegate.yaml

  a.ts           next
  tidegate.yaml  route

The gateway would relay to pool db (round-robin over tcp://db-1.internal:5432 (weight 1), tcp://db-2.internal:5432 (weight 2)).
`)
  })

  test.concurrent("a pool that is defined nowhere is a failure of the policy, with what was meant", async () => {
    expect(await explain("--to", "tcp://127.0.0.1:8001")).toContain(
      'b.ts failed at policies/b.ts:4:14: there is no pool "wep"; did you mean "web"?\nThe gateway would close the connection: policy-failed.\n',
    )
  })

  test.concurrent("so is a pool that encrypts for TLS that passes through", async () => {
    expect(await explain("--to", "tls://x.example:444")).toContain(
      "use tcp:// to pass TLS through, or `await connection.terminate()` first\nThe gateway would send the TLS alert",
    )
  })
})

describe("serve", () => {
  test.concurrent("does not start with a bad file: exit code 2, and every problem", async () => {
    await using dir = await folder({ "tidegate.yaml": "pools: { db: {} }\nlisteners: [5]\n" })
    const { code, stderr } = await tidegate(["serve", "--config", "tidegate.yaml", "--log", "none"], { cwd: dir.path })
    expect(code).toBe(2)
    expect(stderr).toContain("tidegate.yaml:1:10 pools.db: targets is missing")
    expect(stderr).toContain("tidegate.yaml:2:13 listeners[0]: expected an object")
  })

  test.concurrent("routes to a pool without a line of code, keeps the last good file, and follows a better one", async () => {
    await using echo = await startEcho()
    await using dir = await folder()
    const file = join(dir.path, "tidegate.yaml")
    const [first, second] = [freePort(), freePort()]
    const serving = (port: number) =>
      `pools: { echo: { targets: ["tcp://127.0.0.1:${echo.port}"] } }\nlisteners: [{ url: "tcp://127.0.0.1:${port}", route: echo }]\n`
    await dir.write("tidegate.yaml", serving(first))
    await using gateway = await serve({}, "--config", file)
    const said = (text: string) => gateway.until(() => gateway.log.some(({ message }) => message.includes(text)))
    await echoes(first)
    await gateway.until(() => gateway.events.length === 1)
    expect(gateway.events[0]).toMatchObject({
      policy: { file: "tidegate.yaml", decision: "route" },
      upstream: { pool: "echo" },
      close: { reason: "client-closed" },
    })

    await dir.write("tidegate.yaml", serving(second).replace("echo }", "ehco }"))
    await said('there is no pool "ehco"; did you mean "echo"?')
    await echoes(first)
    const status = await tidegate(["status", gateway.folder], { env: { XDG_RUNTIME_DIR: RUNTIME } })
    expect(status.stdout).toMatch(/^tidegate\.yaml +kept +[0-9a-f]{12}$/m)
    expect(status.stdout).toMatch(/tidegate\.yaml:2:5\d there is no pool "ehco"; did you mean "echo"\?/)

    await dir.write("tidegate.yaml", serving(second))
    await said(`tcp://127.0.0.1:${second} is open: tidegate.yaml`)
    await echoes(second)
  })

  test.concurrent("without a folder the gateway is known by the file", async () => {
    await using dir = await folder()
    const file = join(dir.path, "tidegate.yaml")
    await dir.write("tidegate.yaml", `listeners: [{ url: "tcp://127.0.0.1:0", route: "tcp://127.0.0.1:1" }]`)
    const none = join(dir.path, "none")
    await using child = Bun.spawn(
      [process.execPath, "--no-install", "src/main.ts", "serve", none, "--config", file, "--log", "none"],
      { stdout: "ignore", stderr: "pipe", env: { ...process.env, NO_COLOR: "1", XDG_RUNTIME_DIR: RUNTIME } },
    )
    let log = ""
    for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
      log += chunk
      if (log.includes("ready")) break
    }
    expect(log).toContain(`ask with: tidegate status --config ${file}`)
    const env = { XDG_RUNTIME_DIR: RUNTIME }
    const status = await tidegate(["status", none, "--config", file, "--ready"], { env })
    expect(status).toEqual({ code: 0, stdout: "ready\n", stderr: "" })
    expect((await tidegate(["status", none], { env })).stderr).toBe(`tidegate: there is no folder ${none}\n`)
  })
})
