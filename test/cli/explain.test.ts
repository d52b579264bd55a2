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

const behind = {
  "a.ts": `import { route, type Connection } from "tidegate"
export const listen = { url: "tcp://:5432", proxyProtocol: { from: ["10.0.0.0/8", "2001:db8::/32"] } }
export const on_tcp_connect = ({ client, proxy, via }: Connection) =>
  route("tcp://" + client.address + "-" + via?.port + "-" + proxy?.version + ":1", { proxyProtocol: 2 })
`,
  "b.ts": `import { deny } from "tidegate"
export const listen = ["tcp://:6000", { url: "unix:/run/x", proxyProtocol: { from: ["unix"], mode: "optional" } }]
export const on_tcp_connect = () => deny()
`,
}

test.concurrent.each([
  [
    ["--from", "203.0.113.9", "--via", "10.0.0.5:1234", "--to", "tcp://10.0.0.1:5432"],
    `203.0.113.9:49152 via 10.0.0.5:1234 connects to 10.0.0.1:5432
listener tcp://:5432 asks a.ts

  a.ts  route

The gateway would relay to tcp://203.0.113.9-1234-2:1 (PROXY protocol 2).
`,
  ],
  [
    ["--from", "203.0.113.9", "--via", "192.0.2.1", "--to", "tcp://10.0.0.1:5432"],
    `203.0.113.9:49152 via 192.0.2.1:49152 connects to 10.0.0.1:5432
listener tcp://:5432 asks nobody: PROXY headers of 192.0.2.1 are not believed, only of 10.0.0.0/8, 2001:db8::/32

The gateway would reset (RST) the connection: proxy-untrusted.
`,
  ],
  [
    ["--from", "10.0.0.5", "--to", "tcp://10.0.0.1:5432"],
    `10.0.0.5:49152 connects to 10.0.0.1:5432
listener tcp://:5432 asks nobody: what comes from 10.0.0.5 has to begin with a PROXY header

The gateway would wait for one for 3 seconds, then close the connection: proxy-invalid.
`,
  ],
  [
    ["--from", "2001:db8::9", "--via", "unix", "--to", "unix:/run/x"],
    `[2001:db8::9]:49152 via a load balancer connects to unix:/run/x
listener unix:/run/x asks b.ts

  b.ts  deny

The gateway would close (FIN) the connection without dialling.
`,
  ],
])("who connects behind a load balancer: %j", async (args, expected) => {
  await using dir = await folder(behind)
  expect(await tidegate(["explain", ...args, dir.path])).toEqual({ code: 0, stderr: "", stdout: expected })
})

test.concurrent.each([
  [["--from", "203.0.113.9", "--via", "10.0.0.5", "--to", "tcp://:6000"], "--via: tcp://:6000 reads no PROXY headers"],
  [["--from", "203.0.113.9", "--via", "lb-1", "--to", "tcp://:5432"], '--via: "lb-1": expected the load balancer'],
  [["--from", "203.0.113.9", "--via", "10.0.0.5", "--to", "unix:/run/x"], '--via: expected "unix"'],
  [["--via", "10.0.0.5", "--to", "tcp://:5432"], "--from: expected the client's address"],
])("no load balancer is like that: %j", async (args, why) => {
  await using dir = await folder(behind)
  const { code, stdout, stderr } = await tidegate(["explain", ...args, dir.path])
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
  expect(stderr).toContain(why)
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
  const text = `import { route } from "tidegate"\nexport const listen = "tcp://:1"\nexport const on_tcp_connect = () => route("db:5432")\n`
  await using dir = await folder({ "a.ts": text })
  const { stdout } = await tidegate(["explain", "--from", "10.0.0.1", "--to", "tcp://:1", dir.path])
  expect(stdout).toMatch(/a\.ts failed at .*a\.ts:3:14: target "db:5432": expected/)
})

const encrypted = {
  "a.ts": `import { deny, route, type Connection } from "tidegate"
export const listen = ["tls://db.example.com:443", "tls://*.example.com:443", "tls://10.0.0.5:443"]
export async function on_tcp_connect(connection: Connection) {
  switch (connection.tls?.sni) {
    case "db.example.com":
      return route("tcp://db:5432").or(deny("down", { delay: "1 second" }))
    case "ended.example.com":
      await connection.terminate()
      return route("tls://db:5432", { tls: { sni: "db.internal", insecureSkipVerify: true } })
    case "both.example.com":
      return route("tls://db:5432")
    case "failing.example.com":
      await connection.terminate({ minVersion: "1.3", clientCertificate: "require-any" })
  }
  return deny("not here: " + connection.tls?.alpn)
}
`,
  "b.ts": `import { deny, respond, type Connection } from "tidegate"
export const listen = ["postgres://shop.example.com:5432", "postgres://:5433", "tcp://:9000"]
export async function on_tcp_connect(connection: Connection) {
  if (connection.listener.name === "*:9000") return deny("go away", { inBand: true })
  if (connection.postgres?.kind === "ssl-request") await connection.terminate()
  return connection.postgres?.kind === "cancel" ? respond("x") : deny("no " + (connection.postgres?.kind ?? ""))
}
`,
  "z.ts": files["30-last.ts"],
}

const explainEncrypted = async (...args: string[]) => {
  const bytes = { "sub/http": "GET / HTTP/1.1\r\nHost: a\r\n\r\n" }
  await using dir = await folder({ ...encrypted, ...bytes })
  return await tidegate([
    "explain",
    "--from",
    "203.0.113.9",
    ...args.map((arg) => arg.replace("DIR", dir.path)),
    dir.path,
  ])
}

test.concurrent("on tls:// the policies with the most specific name are asked", async () => {
  expect(await explainEncrypted("--to", "tls://db.example.com:443", "--alpn", "h2, postgresql")).toEqual({
    code: 0,
    stderr: "",
    stdout: `203.0.113.9:49152 connects to 127.0.0.1:443, asking for db.example.com, offering h2, postgresql
listener tls://:443 asks a.ts, then z.ts

  a.ts  route
  z.ts  not asked

The gateway would pass TLS through to tcp://db:5432;
if none can be reached, send the TLS alert access_denied and close (FIN) the connection after 1.0 s without dialling: down.
`,
  })
})

test.concurrent("a name that no pattern matches is unrecognized_name, and what is served is listed", async () => {
  expect(await explainEncrypted("--to", "tls://:443", "--sni", "other.example")).toEqual({
    code: 0,
    stderr: "",
    stdout: `203.0.113.9:49152 connects to 127.0.0.1:443, asking for other.example
listener tls://:443 asks nobody: no name matches. It serves
  db.example.com, *.example.com  (a.ts)

The gateway would send the TLS alert unrecognized_name and close the connection: no-policy.
`,
  })
})

test.concurrent.each([
  [
    ["--to", "tls://ended.example.com:443"],
    "relay the plain text to tls://db:5432 (as db.internal, whatever certificate they have).",
  ],
  [
    ["--to", "tls://x.example.com:443", "--alpn", "h2"],
    "send the TLS alert access_denied and close (FIN) the connection without dialling: not here: h2.",
  ],
  [
    ["--to", "tls://both.example.com:443"],
    "send the TLS alert internal_error and close the connection: policy-failed.",
  ],
  [["--to", "tls://failing.example.com:443"], "The gateway would close the connection: tls-handshake-failed."],
  [["--to", "tls://10.0.0.5:443"], "send the TLS alert access_denied and close (FIN)"],
  [
    ["--to", "tcp://:443"],
    "asks nobody: the client sent 0 bytes and no whole TLS hello within 3000 ms\n\nThe gateway would close the connection: preread-timeout.",
  ],
  [
    ["--to", "tls://:443", "--bytes", "DIR/sub/http"],
    "asks nobody: the first bytes are no TLS hello\n\nThe gateway would send the TLS alert decode_error and close the connection: hello-invalid.",
  ],
  [
    ["--to", "postgres://shop.example.com:5432"],
    "send a PostgreSQL error and close (FIN) the connection without dialling: no ssl-request.",
  ],
  [
    ["--to", "postgres://:5433"],
    "send a PostgreSQL error and close (FIN) the connection without dialling: no startup.",
  ],
  [
    ["--to", "postgres://:5432"],
    "speaking PostgreSQL in plain text\nlistener postgres://:5432 asks nobody: no name matches. It serves\n  shop.example.com  (b.ts)\n\nThe gateway would send a PostgreSQL error and close the connection: no-policy.",
  ],
  [
    ["--to", "tcp://:9000", "--bytes", "DIR/sub/http"],
    "say so in http and close (FIN) the connection without dialling: go away.",
  ],
  [["--to", "tcp://:9000"], "The gateway would close (FIN) the connection without dialling: go away."],
])("%j: %s", async (args, outcome) => {
  const { code, stderr, stdout } = await explainEncrypted(...args)
  expect(stdout).toContain(outcome)
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
})

test.concurrent.each([
  [["--to", "tls://*.example.com:443"], "--sni: expected the name that the client asks for"],
  [["--to", "tls://db.example.com:443", "--sni", "other.example"], '--to: the client asks for "other.example"'],
  [["--to", "tls://:443", "--alpn", ","], "--alpn: expected printable ASCII"],
])("%j makes no hello: exit code 2", async (args, why) => {
  const { code, stdout, stderr } = await explainEncrypted(...args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
  expect(stderr).toContain(why)
})
