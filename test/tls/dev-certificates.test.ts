// Certificates for development, held against what will have to verify them.
import { afterEach, expect, setSystemTime, test } from "bun:test"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { createSecureContext } from "node:tls"
import { CertificateStore } from "../../src/tls/certificate-store.ts"
import { DevCertificates } from "../../src/tls/dev-certificates.ts"
import { IdentityInvalid } from "../../src/tls/identity.ts"
import { authority, openssl } from "../helper/certificates.ts"
import { CertsFolder } from "./certs-folder.ts"

const DAY = 24 * 60 * 60 * 1000

afterEach(() => {
  setSystemTime()
})

const text = (pem: string, ...show: string[]) => openssl(["x509", "-noout", ...show], pem).trim()

test("the first run makes an authority, whose key is the owner's alone; the next one takes it", async () => {
  using folder = new CertsFolder()
  const path = folder.at("new/certs")
  const first = await DevCertificates.open(path)
  expect(first.authorityFile).toBe(`${path}/dev/ca.crt`)
  const modes = ["dev", "dev/ca.key", "dev/ca.crt"].map((name) =>
    (statSync(`${path}/${name}`).mode & 0o777).toString(8),
  )
  expect(modes).toEqual(["700", "600", "644"])
  expect(readdirSync(`${path}/dev`).toSorted()).toEqual([".gitignore", "ca.crt", "ca.key"])
  const cert = readFileSync(first.authorityFile, "utf8")
  expect(text(cert, "-subject", "-nameopt", "RFC2253")).toMatch(/^subject=CN=Tidegate development CA \(.*\)$/)
  expect(text(cert, "-ext", "basicConstraints")).toContain("critical\n    CA:TRUE")
  const years = (new Date(text(cert, "-enddate").slice(9)).getTime() - Date.now()) / (365 * DAY)
  expect(Math.round(years)).toBe(10)
  expect((await DevCertificates.open(path)).authorityFile).toBe(first.authorityFile)
  expect(readFileSync(first.authorityFile, "utf8")).toBe(cert)
  const store = new CertificateStore(path)
  expect(await store.load()).toEqual({ changed: false, problems: [] })
})

test("many that open it at once agree on one authority", async () => {
  using folder = new CertsFolder()
  const source = JSON.stringify(new URL("../../src/tls/dev-certificates.ts", import.meta.url).pathname)
  const program = `import { DevCertificates } from ${source}
    const [{ cert }] = await (await DevCertificates.open(${JSON.stringify(folder.path)})).choose("a.example")
    process.stdout.write(cert)`
  const processes = Array.from({ length: 4 }, () =>
    Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", stderr: "pipe" }),
  )
  const own = Array.from({ length: 4 }, () => DevCertificates.open(folder.path))
  const certs = await Promise.all(processes.map(({ stdout }) => new Response(stdout).text()))
  for (const dev of await Promise.all(own)) certs.push((await dev.choose("a.example", undefined))[0]!.cert)
  for (const [i, cert] of certs.entries()) {
    folder.write(`${i}.crt`, cert)
    openssl(["verify", "-x509_strict", "-CAfile", folder.at("dev/ca.crt"), folder.at(`${i}.crt`)])
  }
  expect(readdirSync(folder.at("dev")).toSorted()).toEqual([".gitignore", "ca.crt", "ca.key"])
})

test("openssl verifies what is made for names, addresses and neither", async () => {
  using folder = new CertsFolder()
  const dev = await DevCertificates.open(folder.path)
  const long = `${"x".repeat(60)}.${"y".repeat(60)}.example`
  const cases: [string | undefined, string | undefined, string, string[]][] = [
    ["A.Example.", "10.0.0.1", "DNS:a.example", ["-verify_hostname", "a.example"]],
    ["under_score.example", undefined, "DNS:under_score.example", []],
    [long, undefined, `DNS:${long}`, ["-verify_hostname", long]],
    [undefined, "2001:db8::1", "IP Address:2001:DB8:0:0:0:0:0:1", ["-verify_ip", "2001:db8::1"]],
    ["::ffff:10.0.0.2", undefined, "IP Address:10.0.0.2", ["-verify_ip", "10.0.0.2"]],
    [undefined, undefined, "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1", ["-verify_ip", "::1"]],
  ]
  for (const [name, address, names, check] of cases) {
    const [identity, ...more] = await dev.choose(name, address)
    expect(more).toEqual([])
    folder.write("leaf.crt", identity!.cert)
    const purpose = ["-x509_strict", "-purpose", "sslserver", ...check]
    openssl(["verify", ...purpose, "-CAfile", dev.authorityFile, folder.at("leaf.crt")])
    expect(text(identity!.cert, "-ext", "subjectAltName").split("\n").at(-1)!.trim()).toBe(names)
    expect(Math.round((identity!.notAfter.getTime() - Date.now()) / DAY)).toBe(90)
  }
})

test.skipIf(Bun.which("curl") === null)("curl takes a server with such a certificate", async () => {
  using folder = new CertsFolder()
  const dev = await DevCertificates.open(folder.path)
  const [identity] = await dev.choose("gateway.example", undefined)
  const server = createServer({ cert: identity!.cert, key: identity!.key }, (_, response) => response.end("hello"))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  const url = `https://gateway.example:${port}/`
  const args = ["-sS", "--cacert", dev.authorityFile, "--resolve", `gateway.example:${port}:127.0.0.1`, url]
  const curl = Bun.spawn(["curl", ...args], { stdout: "pipe", stderr: "pipe" })
  expect([await new Response(curl.stdout).text(), await new Response(curl.stderr).text()]).toEqual(["hello", ""])
  server.close()
})

const SSL_REQUEST = "0000000804d2162f"

/** A PostgreSQL server that takes TLS, and then refuses everybody with `hello`. */
function refusingPostgres(cert: string, key: string) {
  const error = Buffer.from("\0\0\0\0SFATAL\0C28000\0Mhello\0\0")
  error.writeInt32BE(error.length, 0)
  const { context } = createSecureContext({ cert, key })
  return Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, first) {
        // Afterwards come the encrypted bytes, which the upgraded socket gets as well.
        if (first.toString("hex") !== SSL_REQUEST) return
        socket.write("S")
        const tls = { secureContext: context } as Bun.TLSOptions
        const handlers = { data: (secure: Bun.Socket) => void secure.write(Buffer.concat([Buffer.from("E"), error])) }
        socket.upgradeTLS({ isServer: true, tls, data: undefined, socket: handlers } as UpgradeAsServer)
      },
    },
  })
}

type UpgradeAsServer = Bun.TLSUpgradeOptions<undefined> & { isServer: true }

test.skipIf(Bun.which("psql") === null)("psql takes a server with such a certificate", async () => {
  using folder = new CertsFolder()
  const dev = await DevCertificates.open(folder.path)
  const [identity] = await dev.choose(undefined, undefined)
  const server = refusingPostgres(identity!.cert, identity!.key)
  const said = async (root: string) => {
    const target = `host=localhost hostaddr=127.0.0.1 port=${server.port} sslmode=verify-full sslrootcert=${root}`
    const psql = Bun.spawn(["psql", target, "-c", "select 1"], { stdout: "pipe", stderr: "pipe" })
    return new Response(psql.stderr).text()
  }
  expect(await said(dev.authorityFile)).toContain("FATAL:  hello")
  expect(await said(authority().path)).toContain("certificate verify failed")
  server.stop(true)
})

test("what is no host name gets none", async () => {
  using folder = new CertsFolder()
  const dev = await DevCertificates.open(folder.path)
  for (const name of ["*.example", "a b", "a..b", "-", "127.1", "a,DNS:evil", "a".repeat(300), "\u00fc.example"]) {
    expect([name, await dev.choose(name, undefined)]).toEqual([name, []])
  }
})

test("a name is made once, also for many that ask at once, and again before it expires", async () => {
  using folder = new CertsFolder()
  const dev = await DevCertificates.open(folder.path)
  const asked = await Promise.all(Array.from({ length: 20 }, () => dev.choose("a.example", undefined)))
  expect(new Set(asked).size).toBe(1)
  expect(await dev.choose("A.EXAMPLE.", "10.0.0.1")).toBe(asked[0]!)
  setSystemTime(new Date(Date.now() + 59 * DAY))
  expect(await dev.choose("a.example", undefined)).toBe(asked[0]!)
  setSystemTime(new Date(Date.now() + 2 * DAY))
  const renewed = await dev.choose("a.example", undefined)
  expect(renewed).not.toBe(asked[0]!)
  expect(renewed[0]!.notAfter.getTime()).toBeGreaterThan(asked[0]![0]!.notAfter.getTime())
})

test("a thousand names are kept, and the one that was not asked for the longest goes", async () => {
  using folder = new CertsFolder()
  const dev = await DevCertificates.open(folder.path)
  const name = (i: number) => dev.choose(`n${i}.example`, undefined)
  const [first, second] = [await name(0), await name(1)]
  for (let i = 2; i < 1000; i++) await name(i)
  expect(await name(0)).toBe(first)
  await name(1000)
  expect(await name(0)).toBe(first)
  expect(await name(1)).not.toBe(second)
})

async function refusal(folder: CertsFolder): Promise<string> {
  const error = await DevCertificates.open(folder.path).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(IdentityInvalid)
  const { file, message } = error as IdentityInvalid
  return `${file} ${message}`
}

test("an authority that cannot be used is named, and stays as it is", async () => {
  using folder = new CertsFolder()
  await DevCertificates.open(folder.path)
  const [cert, key] = [readFileSync(folder.at("dev/ca.crt"), "utf8"), readFileSync(folder.at("dev/ca.key"), "utf8")]
  folder.chmod("dev/ca.key", 0o644)
  expect(await refusal(folder)).toBe("dev/ca.key others may read it (mode 0644)")
  folder.chmod("dev/ca.key", 0o600)
  folder.chmod("dev", 0o777)
  expect(await refusal(folder)).toContain("not loaded, because everyone may write to it (mode 0777)")
  folder.chmod("dev", 0o700)
  for (const [other, message] of [
    ["damaged", "dev/ca.crt cannot be read, or ca.key cannot"],
    [authority().cert, "dev/ca.crt is not the authority of ca.key that Tidegate made"],
  ] as const) {
    folder.write("dev/ca.crt", other)
    expect(await refusal(folder)).toBe(message)
    expect(readFileSync(folder.at("dev/ca.crt"), "utf8")).toBe(other)
  }
  folder.write("dev/ca.crt", cert)
  setSystemTime(new Date(Date.now() + 3651 * DAY))
  expect(await refusal(folder)).toStartWith("dev/ca.crt expired on ")
  setSystemTime()
  // Only the certificate is missing: it is made again for the same key.
  folder.remove("dev/ca.crt")
  const again = await DevCertificates.open(folder.path)
  expect(readFileSync(folder.at("dev/ca.key"), "utf8")).toBe(key)
  const [identity] = await again.choose("a.example", undefined)
  folder.write("leaf.crt", identity!.cert)
  folder.write("old.crt", cert)
  for (const trusted of ["dev/ca.crt", "old.crt"])
    openssl(["verify", "-x509_strict", "-CAfile", folder.at(trusted), folder.at("leaf.crt")])
})

test("a folder that cannot be written to is named", async () => {
  using folder = new CertsFolder({ dev: "a file" })
  expect(await refusal(folder)).toStartWith("dev cannot be written: ")
})

test("what serves certificates does not import what makes them", () => {
  const modules = ["certificate-store", "client-certificate", "dev-certificates"]
  const imports = modules.map((name) => `import ${JSON.stringify(`${import.meta.dir}/../../src/tls/${name}.ts`)}`)
  // The library comes with this extension of Reflect.
  const program = `${imports.join("\n")}\nprocess.stdout.write(typeof Reflect.getMetadata)`
  const { stdout, stderr } = Bun.spawnSync([process.execPath, "-e", program])
  expect([stdout.toString(), stderr.toString()]).toEqual(["undefined", ""])
})
