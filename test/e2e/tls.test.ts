// `tidegate serve` with certificates: what is saved into the folder is what clients see, and nobody is disturbed.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect as connectNode } from "node:tls"
import { expect, setDefaultTimeout, test } from "bun:test"
import type { Status } from "../../src/admin/control.ts"
import { authority, type Issued } from "../helper/certificates.ts"
import { tidegate } from "../helper/cli.ts"
import { runClient, sClient } from "../helper/openssl-client.ts"
import { freePort } from "../helper/ports.ts"
import { RUNTIME, serve, start, type Served } from "../helper/serve.ts"
import { installed } from "../helper/servers.ts"
import { connectTls, type TlsWire } from "../helper/tls-wire.ts"
import { upstream } from "../helper/upstream.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const ca = authority()

/** A folder of certificates. */
class Certs implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "tidegate-certs-"))

  /** Replaces a pair as certificate tools do: each file at once. */
  put(name: string, { cert, key }: Pick<Issued, "cert" | "key">): void {
    this.write(`${name}.key`, key)
    this.write(`${name}.crt`, cert)
  }

  write(file: string, text: string): void {
    const draft = join(this.folder, `.${file}.new`)
    writeFileSync(draft, text, { mode: 0o600 })
    renameSync(draft, join(this.folder, file))
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true })
  }
}

const terminating = (port: number, decision: string, more = "") => `import { respond, route } from "tidegate"
export const listen = "tls://:${port}"
export async function on_tcp_connect(connection) {
  const agreed = await connection.terminate()
  ${more}
  return ${decision}
}
`
const facts = 'respond(JSON.stringify(agreed) + "\\n")'

/** The serial number of the certificate that a client is shown. */
function serial(port: number, servername: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connectNode({ host: "127.0.0.1", port, servername, ca: ca.cert }, () => {
    resolve(socket.getPeerCertificate().serialNumber)
    socket.destroy()
  })
  socket.on("error", reject)
  return promise
}

/** Asks until the client is shown this one. */
async function shows(port: number, name: string, wanted: Issued): Promise<void> {
  while ((await serial(port, name)) !== wanted.serial) await new Promise((resolve) => setImmediate(resolve))
}

const said = (gateway: Served, text: string) =>
  gateway.until(() => gateway.log.find(({ message }) => message.includes(text)))

async function echoes(client: TlsWire, text: string): Promise<boolean> {
  const before = client.received
  await client.write(text)
  await client.atLeast(before + text.length)
  return new TextDecoder().decode(client.soFar()).endsWith(text)
}

test("certificates are renewed, spoilt, mended and removed under live connections", async () => {
  using certs = new Certs()
  using up = upstream()
  const [old, renewed, third] = [0, 1, 2].map((edition) => ca.issue({ names: ["a.test"], edition })) as [
    Issued,
    Issued,
    Issued,
  ]
  const other = ca.issue({ names: ["b.test"] })
  certs.put("a", old)
  certs.put("b", other)
  const port = freePort()
  const policies = { "relay.ts": terminating(port, `route("${up.url}")`) }
  await using gateway = await serve(policies, "--certs", certs.folder)
  using live = await connectTls(port, { ca: ca.cert, serverName: "a.test" })
  using beside = await connectTls(port, { ca: ca.cert, serverName: "b.test" })
  expect([await echoes(live, "one"), await echoes(beside, "one")]).toEqual([true, true])

  await shows(port, "a.test", old)
  certs.put("a", renewed)
  await shows(port, "a.test", renewed)
  expect(await serial(port, "b.test")).toBe(other.serial)
  expect([await echoes(live, "two"), await echoes(beside, "two")]).toEqual([true, true])

  // A key that belongs to another certificate, then no certificate at all.
  certs.write("a.crt", third.cert)
  const mismatch = await said(gateway, "does not belong to the certificate")
  expect(mismatch.level).toBe("error")
  expect(mismatch.message).toContain(join(certs.folder, "a.crt"))
  expect(mismatch.message).toContain("the last good one stays")
  expect(await serial(port, "a.test")).toBe(renewed.serial)
  certs.write("a.crt", "not a certificate")
  await gateway.until(() =>
    gateway.log.find(({ message }) => message.includes("a.crt: ") && !message.includes("does not belong")),
  )
  expect(await serial(port, "a.test")).toBe(renewed.serial)
  expect(await echoes(live, "three")).toBe(true)

  certs.put("a", third)
  await said(gateway, "all certificates are good again")
  await shows(port, "a.test", third)
  rmSync(join(certs.folder, "a.crt"))
  rmSync(join(certs.folder, "a.key"))
  for (;;) {
    const refused = await serial(port, "a.test").then(
      () => false,
      () => true,
    )
    if (refused) break
  }
  const none = await gateway.until(() =>
    gateway.events.find(({ policy }) => policy?.reason === 'no certificate for "a.test" in the folder of --certs'),
  )
  expect(none.close).toEqual({ reason: "tls-handshake-failed", by: "gateway" })
  expect([await echoes(live, "four"), await echoes(beside, "four")]).toEqual([true, true])
})

test("sessions survive the reload of a policy, and of other certificates", async () => {
  if (!installed("openssl")) return
  using certs = new Certs()
  certs.put("a", ca.issue({ names: ["a.test"] }))
  const port = freePort()
  await using gateway = await serve({ "facts.ts": terminating(port, facts) }, "--certs", certs.folder)
  const sessions = ["-tls1_2", "-tls1_3"].map((version) => [version, join(certs.folder, `.session${version}`)] as const)
  for (const [version, file] of sessions)
    expect(JSON.parse((await sClient(port, [version, "-sess_out", file])).stdout).resumed).toBe(false)
  const before = (await status(gateway)).snapshot
  gateway.write("facts.ts", terminating(port, facts, "agreed satisfies object"))
  while ((await status(gateway)).snapshot === before) await new Promise((resolve) => setImmediate(resolve))
  certs.put("b", ca.issue({ names: ["b.test"] }))
  await said(gateway, "certificates: a.crt, b.crt")
  for (const [version, file] of sessions)
    expect(JSON.parse((await sClient(port, [version, "-sess_in", file])).stdout).resumed).toBe(true)
  // Its own certificate ends them.
  const renewed = ca.issue({ names: ["a.test"], edition: 1 })
  certs.put("a", renewed)
  await shows(port, "a.test", renewed)
  for (const [version, file] of sessions)
    expect(JSON.parse((await sClient(port, [version, "-sess_in", file])).stdout).resumed).toBe(false)
})

async function status(gateway: Served): Promise<Status> {
  const env = { XDG_RUNTIME_DIR: RUNTIME }
  return JSON.parse((await tidegate(["status", gateway.folder, "--output", "json"], { env })).stdout) as Status
}

/** The day that is so many days away, give or take. */
const end = (days: number) =>
  expect.stringMatching(new RegExp(`^${new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 8)}`))

test("status shows each certificate with its end", async () => {
  using certs = new Certs()
  const ecdsa = ca.issue({ names: ["a.test", "*.b.test"], days: 60 })
  certs.put("a", ecdsa)
  mkdirSync(join(certs.folder, "c"))
  const rsa = ca.issue({ names: ["c.test"], algorithm: "rsa", days: 20 })
  writeFileSync(join(certs.folder, "c", "tls.key"), rsa.key, { mode: 0o600 })
  writeFileSync(join(certs.folder, "c", "tls.crt"), rsa.cert)
  const port = freePort()
  await using gateway = await serve({ "facts.ts": terminating(port, facts) }, "--certs", certs.folder)
  expect((await status(gateway)).certificates).toEqual([
    { file: "a.crt", names: ["a.test", "*.b.test"], algorithm: "ecdsa", expires: end(59) },
    { file: "c/tls.crt", names: ["c.test"], algorithm: "rsa", expires: end(19) },
  ])
  expect((await said(gateway, "c/tls.crt")).level).toBe("warn")
})

test("--dev-certificates work on the first run, with curl", async () => {
  if (!installed("curl")) return
  using certs = new Certs()
  const port = freePort()
  const page = 'respond("HTTP/1.1 200 OK\\r\\ncontent-length: 5\\r\\nconnection: close\\r\\n\\r\\nhello")'
  const flags = ["--certs", certs.folder, "--dev-certificates"]
  await using gateway = await serve({ "page.ts": terminating(port, page) }, ...flags)
  const authorityFile = join(certs.folder, "dev", "ca.crt")
  expect((await said(gateway, "development certificates")).message).toContain(authorityFile)
  for (const host of ["localhost", "127.0.0.1", "shop.test"]) {
    const resolve = ["--resolve", `shop.test:${port}:127.0.0.1`]
    const url = `https://${host}:${port}/`
    const { stderr, stdout } = await runClient(["curl", "-sS", "--cacert", authorityFile, ...resolve, url])
    expect([stderr, stdout]).toEqual(["", "hello"])
  }
  const events = await gateway.until(() => gateway.events.length === 3 && gateway.events)
  expect(events.map(({ conn, close }) => [conn.server_name, close.reason])).toEqual([
    ["localhost", "answered"],
    [null, "answered"],
    ["shop.test", "answered"],
  ])
})

test("a folder that is named and not there is refused", async () => {
  const folder = join(tmpdir(), "tidegate-no-such-folder")
  expect(existsSync(folder)).toBe(false)
  await using gateway = start({ "facts.ts": terminating(freePort(), facts) }, "--certs", folder)
  expect(await gateway.exited).toBe(2)
  const errors = gateway.log.filter(({ level }) => level === "error").map(({ message }) => message)
  expect(errors).toEqual([`certificates: ${folder}: there is no such folder`])
})
