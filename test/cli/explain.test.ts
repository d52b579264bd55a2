import { expect, setDefaultTimeout, test } from "bun:test"
import { join } from "node:path"
import { folder, tidegate } from "../helper/cli.ts"

// Processes that compile share the machine with all others that run at the same time.
setDefaultTimeout(60_000)

const files = {
  "10-log.ts": `import { next, type Connection } from "tidegate"
export const setup = () => { throw new Error("setup was run") }
export async function on_tcp_connect(connection: Connection) {
  connection.log({ from: connection.client.address, evil: "\\u001b[2J" })
  return next
}
`,
  "20-db.ts": `import { deny, respond, route, type Connection } from "tidegate"
export const listen = ["tcp://127.0.0.1:5432", "tcp://0.0.0.0:5432", "tcp://:5432", "tcp://[::1]:6000", "unix:/run/x.sock"]
export async function on_tcp_connect(connection: Connection) {
  if (connection.client.within("10.0.0.0/8"))
    return route([{ url: "tcp://a:1", weight: 95 }, "tcp://b:1"], { connectTimeout: "1 second", retries: 1 }).or(respond("down\\n"))
  if (connection.client.within("11.0.0.0/8")) throw new Error("broken")
  if (connection.client.within("12.0.0.0/8")) return new Promise<never>(() => {})
  if (connection.client.within("13.0.0.0/8")) return respond(await connection.peek(4))
  return deny("not " + connection.listener.url, { delay: "2 seconds" })
}
export const deadline = "20 ms"
`,
  "30-last.ts": `import { next } from "tidegate"\nexport const on_tcp_connect = () => next\n`,
}

const explain = async (...args: string[]) => {
  await using dir = await folder({ ...files, "sub/sent": "hello" })
  return await tidegate(["explain", ...args.map((arg) => arg.replace("DIR", dir.path)), dir.path])
}

test.concurrent("a route: who was asked, what each answered, and what would be done", async () => {
  expect(await explain("--from", "10.0.0.1:4711", "--to", "tcp://10.9.9.9:5432")).toEqual({
    code: 0,
    stderr: "",
    stdout: `10.0.0.1:4711 connects to 10.9.9.9:5432
listener tcp://0.0.0.0:5432 asks 10-log.ts, then 20-db.ts, then 30-last.ts

  10-log.ts   next
              its setup was not run: resources are undefined
  20-db.ts    route
  30-last.ts  not asked

logged: {"from":"10.0.0.1","evil":"\\u001b[2J"}

The gateway would relay to one of tcp://a:1 (weight 95), tcp://b:1 (weight 1) (connectTimeout 1.0 s, retries 1);
if none can be reached, answer with "down\\n", and close.
`,
  })
})

test.concurrent.each([
  ["203.0.113.9", "tcp://127.0.0.1:5432", "tcp://127.0.0.1:5432"],
  ["203.0.113.9", "tcp://10.0.0.1:5432", "tcp://0.0.0.0:5432"],
  ["2001:db8::1", "tcp://[2001:db8::2]:5432", "tcp://:5432"],
  ["203.0.113.9", "tcp://:5432", "tcp://0.0.0.0:5432"],
  ["2001:db8::1", "tcp://:5432", "tcp://:5432"],
  ["203.0.113.9", "tcp://:6000", "tcp://[::1]:6000"],
])("from %s to %s meets the listener %s", async (from, to, listener) => {
  const { code, stdout } = await explain("--from", from, "--to", to)
  expect(stdout).toContain(`listener ${listener} asks`)
  expect(stdout).toContain(`close (FIN) the connection after 2.0 s without dialling: not ${listener}.`)
  expect(code).toBe(0)
})

test.concurrent("a unix listener needs no client address", async () => {
  const { code, stdout } = await explain("--to", "unix:/run/x.sock")
  expect(stdout).toStartWith("a client connects to unix:/run/x.sock\n")
  expect(code).toBe(0)
})

test.concurrent.each([
  [
    "11.0.0.1",
    [],
    /20-db\.ts failed at .*20-db\.ts:6:\d+: broken\nThe gateway would close the connection: policy-failed\./,
  ],
  ["12.0.0.1", [], /no answer within 20 ms\nThe gateway would close the connection: policy-timeout\./],
  ["13.0.0.1", [], /0 of 4 bytes.*\nThe gateway would close the connection: preread-timeout\./],
  ["13.0.0.1", ["--bytes", "DIR/sub/sent"], /The gateway would answer with 5 bytes, and close\./],
])("from %s %j", async (from, more, outcome) => {
  const { code, stdout } = await explain("--from", from, "--to", "tcp://:5432", ...more)
  expect(stdout).toMatch(outcome)
  expect(code).toBe(0)
})

test.concurrent("when every policy passes it says so", async () => {
  await using dir = await folder({ "a.ts": `export const listen = "tcp://:1"\n${files["30-last.ts"]}` })
  const { code, stdout } = await tidegate(["explain", "--from", "::1", "--to", "tcp://:1", dir.path])
  expect(stdout).toContain("Every policy passed. The gateway would close the connection: no-decision.")
  expect(code).toBe(0)
})

test.concurrent("where nothing listens it says what does, with exit code 2", async () => {
  expect(await explain("--from", "10.0.0.1", "--to", "tcp://:99")).toEqual({
    code: 2,
    stdout: "",
    stderr: `tidegate: nothing listens on tcp://:99
The listeners are:
  tcp://127.0.0.1:5432  (20-db.ts)
  tcp://0.0.0.0:5432  (20-db.ts)
  tcp://:5432  (20-db.ts)
  tcp://[::1]:6000  (20-db.ts)
  unix:/run/x.sock  (20-db.ts)
`,
  })
})

test.concurrent.each([
  [["--to", "tcp://:5432"], "--from: expected the client's address"],
  [["--from", "localhost", "--to", "tcp://:5432"], '--from: "localhost": expected'],
  [["--from", "10.0.0.1", "--to", ":5432"], 'did you mean "tcp://:5432"?'],
  [["--from", "10.0.0.1", "--to", "tcp://:5432", "--bytes", "DIR/nope"], "--bytes: ENOENT"],
])("%j makes no connection: exit code 2", async (args, why) => {
  const { code, stdout, stderr } = await explain(...args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
  expect(stderr).toContain(why)
})

test.concurrent("a folder with a bad policy is not explained: the gateway would not start with it", async () => {
  await using dir = await folder({ ...files, "40-bad.ts": "export const listen = 5\n" })
  const { code, stdout, stderr } = await tidegate(["explain", "--from", "10.0.0.1", "--to", "tcp://:5432", dir.path])
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
  expect(stderr).toContain(join(dir.path, "40-bad.ts"))
  expect(stderr).toContain("The gateway would not start with these policies.")
})

test.concurrent("a decision that cannot be made, in tail position, has the place of on_tcp_connect", async () => {
  const text = `import { route } from "tidegate"\nexport const listen = "tcp://:1"\nexport const on_tcp_connect = () => route("db")\n`
  await using dir = await folder({ "a.ts": text })
  const { stdout } = await tidegate(["explain", "--from", "10.0.0.1", "--to", "tcp://:1", dir.path])
  expect(stdout).toMatch(/a\.ts failed at .*a\.ts:3:14: there is no pool "db"/)
})
