// A folder of certificates over time: what is read, what is refused and why, what stays and what goes.
import { afterEach, expect, setSystemTime, test } from "bun:test"
import { mkdirSync, renameSync, rmSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { CertificateStore, MOST_PAIRS } from "../../src/tls/certificate-store.ts"
import { readPem } from "../../src/tls/read-pem.ts"
import { authority, type Issued } from "../helper/certificates.ts"
import { CertsFolder, chosen, problems } from "./certs-folder.ts"

const root = authority()
const a = root.issue({ names: ["a.example"] })
const b = root.issue({ names: ["b.example"] })
const newA = root.issue({ names: ["a.example"], from: -0.5, edition: 2 })
const rsaA = root.issue({ names: ["a.example"], algorithm: "rsa" })
const expired = root.issue({ names: ["a.example"], from: -10, days: 9 })
const DAY = 24 * 60 * 60 * 1000

afterEach(() => {
  setSystemTime()
})

/** A time by which no file counts as just changed any more. */
function later(days = 0): void {
  setSystemTime(new Date(Date.now() + 3000 + days * DAY))
}

function pair(name: string, { cert, key }: Issued): Record<string, string> {
  return { [`${name}.crt`]: cert, [`${name}.key`]: key }
}

function fingerprints(store: CertificateStore): Record<string, string> {
  const labels = { a, b, newA, rsaA }
  const found = (cert: string) => Object.entries(labels).find(([, issued]) => issued.cert === cert)?.[0] ?? "unknown"
  return Object.fromEntries(store.identities.map(({ file, cert }) => [file, found(cert)]))
}

test("every layout is read, and what is no pair is left alone", async () => {
  const intermediate = root.intermediate()
  using folder = new CertsFolder({
    ...pair("one", root.issue({ names: ["one.example"] })),
    "two.pem": root.issue({ names: ["two.example"] }).cert,
    "two.key": root.issue({ names: ["two.example"] }).key,
    "mkcert.pem": b.cert,
    "mkcert-key.pem": b.key,
    "combined.pem": a.cert + a.key,
    "key-first.pem": newA.key + newA.cert,
    "combined.crt": a.key + a.cert,
    "certbot.example/fullchain.pem": intermediate.issue({ names: ["certbot.example"] }).cert,
    "certbot.example/privkey.pem": intermediate.issue({ names: ["certbot.example"] }).key,
    "certbot.example/cert.pem": intermediate.issue({ names: ["certbot.example"] }).leaf,
    "certbot.example/chain.pem": intermediate.cert,
    "certbot.example/README": "about",
    "kubernetes/tls.crt": b.cert,
    "kubernetes/tls.key": b.key,
    "kubernetes/ca.crt": root.cert,
    "deep/er/tls.crt": b.cert,
    "deep/er/tls.key": b.key,
    "other/site.crt": b.cert,
    "other/site.key": b.key,
    "README.md": "about",
    "request.csr": "",
    "lonely.key": a.key,
    "dhparam.pem": "-----BEGIN DH PARAMETERS-----\nAAEC\n-----END DH PARAMETERS-----\n",
    "notes.pem": "no PEM at all",
    "ca.crt": root.cert,
    "ca.key": root.key,
    "clients-ca.pem": (root.cert + intermediate.cert).repeat(70),
    ...pair("example.ca", b),
    ...pair("not-a-ca", b),
    ".hidden.crt": "nothing",
    ".hidden/tls.crt": "nothing",
    "dev/ca.crt": root.cert,
    "dev/ca.key": root.key,
  })
  mkdirSync(folder.at("folder.crt"))
  symlinkSync("README.md", folder.at("link"))
  symlinkSync("nowhere", folder.at("broken"))
  symlinkSync("nowhere.crt", folder.at("broken.crt"))
  symlinkSync("kubernetes", folder.at("linked"))
  const store = new CertificateStore(folder.path)
  expect(problems(await store.load())).toEqual([])
  expect(store.identities.map(({ file, names }) => [file, ...names])).toEqual([
    ["certbot.example/fullchain.pem", "certbot.example"],
    ["combined.crt", "a.example"],
    ["combined.pem", "a.example"],
    ["example.ca.crt", "b.example"],
    ["key-first.pem", "a.example"],
    ["kubernetes/tls.crt", "b.example"],
    ["linked/tls.crt", "b.example"],
    ["mkcert.pem", "b.example"],
    ["not-a-ca.crt", "b.example"],
    ["one.crt", "one.example"],
    ["two.pem", "two.example"],
  ])
  expect(store.choose("certbot.example", undefined)[0]?.cert).toContain(intermediate.cert)
})

test("a folder as certbot has it for one name works by itself", async () => {
  const { cert, leaf, key } = root.intermediate().issue({ names: ["certbot.example"] })
  const parts = { "cert.pem": leaf, "chain.pem": root.intermediate().cert, "privkey.pem": key }
  using folder = new CertsFolder({ "fullchain.pem": cert, ...parts })
  const store = new CertificateStore(folder.path)
  expect(problems(await store.load())).toEqual([])
  expect(chosen(store, "certbot.example")).toEqual(["fullchain.pem"])
})

test("what is wrong with a pair is said, and the others are read", async () => {
  using folder = new CertsFolder({
    ...pair("good", b),
    "mismatch.crt": a.cert,
    "mismatch.key": b.key,
    ...pair("expired", expired),
    "alone.crt": a.cert,
    "alone.pem": a.cert,
    "half.crt": a.cert.slice(0, 200),
    "half.key": a.key,
    "sub/tls.crt": a.cert,
    "empty.crt": "",
    "empty.key": "",
    "large.pem": " ".repeat(1024 * 1024 + 1),
    ...pair("public", a),
  })
  folder.chmod("public.key", 0o666)
  Bun.spawnSync(["mkfifo", folder.at("kind.crt")])
  const store = new CertificateStore(folder.path)
  const loaded = await store.load()
  expect(problems(loaded)).toEqual([
    "alone.crt there is no private key for it: expected alone.key, or a key in the same file",
    "alone.pem there is no private key for it: expected alone.key, or a key in the same file",
    'empty.crt there is no certificate in it; expected "-----BEGIN CERTIFICATE-----"',
    expect.stringMatching(/^expired\.crt the certificate expired on \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/),
    'half.crt a "BEGIN CERTIFICATE" without its "END CERTIFICATE": is the file written completely?',
    "kind.crt cannot be read: it is not a file",
    "large.pem 1048577 bytes; such a file has at most 1048576",
    "mismatch.crt the private key in mismatch.key does not belong to the certificate",
    "public.key not loaded, because everyone may write to it (mode 0666)",
    "sub/tls.crt there is no private key for it: expected sub/tls.key, or a key in the same file",
  ])
  expect(store.identities.map(({ file }) => file)).toEqual(["good.crt"])
  const untrusted = loaded.problems.find(({ file }) => file === "public.key")
  expect(untrusted).toMatchObject({ path: folder.at("public.key"), hint: `chmod o-w ${folder.at("public.key")}` })
})

test("a good pair takes another's place, a bad one does not, and a half-written one serves when it is complete", async () => {
  using folder = new CertsFolder(pair("site", a))
  const store = new CertificateStore(folder.path)
  expect((await store.load()).changed).toBe(true)
  const [first] = store.identities
  for (const [cert, key] of [
    [b.cert, a.key],
    [expired.cert, expired.key],
    [newA.cert.slice(0, 400), newA.key],
    [newA.cert, newA.key.slice(0, 40)],
    ["", ""],
  ] as const) {
    folder.write("site.crt", cert)
    folder.write("site.key", key)
    const loaded = await store.load()
    expect(loaded.changed).toBe(false)
    expect(loaded.problems.map(({ kept }) => kept)).toEqual([true])
    expect(store.choose("a.example", undefined)).toEqual([first!])
  }
  folder.write("site.crt", newA.cert)
  folder.write("site.key", newA.key)
  expect(await store.load()).toEqual({ changed: true, problems: [] })
  expect(fingerprints(store)).toEqual({ "site.crt": "newA" })
  folder.write("site.crt", newA.cert)
  const [current] = store.identities
  expect(await store.load()).toEqual({ changed: false, problems: [] })
  expect(store.identities[0]).toBe(current!)
})

test("a pair that was bad from the start serves as soon as it is good", async () => {
  using folder = new CertsFolder({ "site.crt": a.cert })
  const store = new CertificateStore(folder.path)
  expect((await store.load()).problems).toHaveLength(1)
  folder.write("site.key", "")
  expect((await store.load()).problems).toHaveLength(1)
  folder.write("site.key", a.key)
  expect(await store.load()).toEqual({ changed: true, problems: [] })
})

test("files that are gone are gone, and back when they are back; half a pair keeps what it gave", async () => {
  using folder = new CertsFolder({ ...pair("site", a), "other.pem": b.cert + b.key, ...pair("sub/tls", newA) })
  const store = new CertificateStore(folder.path)
  await store.load()
  const before = fingerprints(store)
  expect(before).toEqual({ "other.pem": "b", "site.crt": "a", "sub/tls.crt": "newA" })
  folder.rename("site.crt", "../site.crt")
  folder.rename("sub/tls.key", "../tls.key")
  expect(problems(await store.load())).toEqual([
    "kept: site.crt the certificate is gone, and its key site.key is still there",
    "kept: sub/tls.crt there is no private key for it: expected sub/tls.key, or a key in the same file",
  ])
  expect(fingerprints(store)).toEqual(before)
  folder.rename("site.key", "../site.key")
  folder.rename("sub", "../sub")
  folder.remove("other.pem")
  expect(await store.load()).toEqual({ changed: true, problems: [] })
  expect(store.identities).toEqual([])
  folder.rename("../site.crt", "site.crt")
  folder.rename("../site.key", "site.key")
  folder.rename("../sub", "sub")
  folder.rename("../tls.key", "sub/tls.key")
  expect(await store.load()).toEqual({ changed: true, problems: [] })
  expect(fingerprints(store)).toEqual({ "site.crt": "a", "sub/tls.crt": "newA" })
})

test("a pair whose certificate moved to another file of the same key is not kept twice", async () => {
  using folder = new CertsFolder(pair("site", a))
  const store = new CertificateStore(folder.path)
  await store.load()
  folder.rename("site.crt", "site.pem")
  expect(await store.load()).toEqual({ changed: true, problems: [] })
  expect(fingerprints(store)).toEqual({ "site.pem": "a" })
})

test("a folder that is gone or open to others changes nothing until it is back", async () => {
  using folder = new CertsFolder(pair("site", a))
  const store = new CertificateStore(folder.path)
  await store.load()
  renameSync(folder.path, join(folder.root, "away"))
  expect(await store.load().then(problems)).toEqual(["kept: . there is no such folder"])
  mkdirSync(folder.path)
  folder.write("site.crt", newA.cert)
  folder.write("site.key", newA.key)
  folder.chmod(".", 0o777)
  expect(await store.load().then(problems)).toEqual([
    "kept: . not loaded, because everyone may write to it (mode 0777)",
  ])
  expect(fingerprints(store)).toEqual({ "site.crt": "a" })
  folder.chmod(".", 0o755)
  expect(await store.load()).toEqual({ changed: true, problems: [] })
  expect(fingerprints(store)).toEqual({ "site.crt": "newA" })
  rmSync(folder.path, { recursive: true })
  folder.write("../certs", "a file")
  expect(await store.load().then(problems)).toEqual(["kept: . is not a folder"])
})

test("a sub-folder open to others is refused, and read once it is not", async () => {
  using folder = new CertsFolder(pair("sub/tls", a))
  folder.chmod("sub", 0o777)
  const store = new CertificateStore(folder.path)
  expect(problems(await store.load())).toEqual([
    `sub/tls.crt its folder ${folder.at("sub")}: not loaded, because everyone may write to it (mode 0777)`,
  ])
  folder.chmod("sub", 0o755)
  later()
  expect(await store.load()).toEqual({ changed: true, problems: [] })
})

test("a folder that is missing from the start is a problem, and no rejection", async () => {
  using folder = new CertsFolder()
  const store = new CertificateStore(folder.at("missing"))
  expect(await store.load()).toEqual({
    changed: false,
    problems: [
      { file: ".", path: folder.at("missing"), message: "there is no such folder", hint: undefined, kept: false },
    ],
  })
  expect(store.choose(undefined, undefined)).toEqual([])
})

test("a swap of links as Kubernetes does it swaps the pair, in the folder itself and in a sub-folder", async () => {
  using folder = new CertsFolder({
    ...pair("..1/tls", a),
    ...pair("..2/tls", newA),
    ...pair("sub/..1/tls", b),
    ...pair("sub/..2/tls", rsaA),
  })
  for (const at of ["", "sub/"]) {
    folder.link("..1", `${at}..data`)
    folder.link("..data/tls.crt", `${at}tls.crt`)
    folder.link("..data/tls.key", `${at}tls.key`)
  }
  const store = new CertificateStore(folder.path)
  expect(await store.load()).toEqual({ changed: true, problems: [] })
  expect(fingerprints(store)).toEqual({ "sub/tls.crt": "b", "tls.crt": "a" })
  const all = ["", "sub", "sub/..1", "..1"].map((name) => join(folder.path, name))
  expect(store.folders().toSorted()).toEqual(all.toSorted())
  expect(store.folders()[0]).toBe(folder.path)
  later()
  expect((await store.load()).changed).toBe(false)
  folder.link("..2", "..data")
  folder.link("..2", "sub/..data")
  expect(await store.load()).toEqual({ changed: true, problems: [] })
  expect(fingerprints(store)).toEqual({ "sub/tls.crt": "rsaA", "tls.crt": "newA" })
  expect(store.folders()).toContain(folder.at("..2"))
})

test("RSA and ECDSA are presented side by side, and the address, the default and the first file stand in for a name", async () => {
  const local = root.issue({ names: ["local.example"], ips: ["127.0.0.1", "::1"] })
  using folder = new CertsFolder({
    ...pair("a.ecdsa", a),
    ...pair("a.rsa", rsaA),
    ...pair("local", local),
    ...pair("wild", root.issue({ names: ["*.w.example"] })),
  })
  const store = new CertificateStore(folder.path)
  await store.load()
  expect(
    store
      .choose("A.example.", undefined)
      .map(({ algorithm }) => algorithm)
      .toSorted(),
  ).toEqual(["ecdsa", "rsa"])
  expect(chosen(store, "x.w.example")).toEqual(["wild.crt"])
  expect(chosen(store, "x.y.w.example")).toEqual([])
  expect(chosen(store, undefined, "127.0.0.1")).toEqual(["local.crt"])
  expect(chosen(store, "::1", "10.0.0.1")).toEqual(["local.crt"])
  expect(chosen(store, undefined, "10.0.0.1")).toEqual(["a.ecdsa.crt"])
  folder.write("default/tls.crt", b.cert)
  folder.write("default/tls.key", b.key)
  await store.load()
  expect(chosen(store, undefined, "10.0.0.1")).toEqual(["default/tls.crt"])
  folder.write("default.pem", b.cert + b.key)
  folder.remove("default")
  await store.load()
  expect(chosen(store, undefined, undefined)).toEqual(["default.pem"])
})

test("a certificate that expires while it is loaded is reported at every load, and presented if there is no other", async () => {
  const soon = root.issue({ names: ["a.example"], from: -0.5, days: 2, edition: 3 })
  using folder = new CertsFolder({ ...pair("long", a), ...pair("soon", soon) })
  const store = new CertificateStore(folder.path)
  await store.load()
  expect(chosen(store, "a.example")).toEqual(["soon.crt"])
  later(10)
  expect(chosen(store, "a.example")).toEqual(["long.crt"])
  folder.remove("long.crt")
  folder.remove("long.key")
  for (let load = 0; load < 2; load++) {
    const loaded = await store.load()
    expect(problems(loaded)).toEqual([
      expect.stringMatching(/^kept: soon\.crt expired on .* UTC; it is presented where/),
    ])
  }
  expect(chosen(store, "a.example")).toEqual(["soon.crt"])
  folder.write("soon.crt", soon.cert)
  expect((await store.load()).changed).toBe(false)
  const fresh = new CertificateStore(folder.path)
  expect(problems(await fresh.load())).toEqual([expect.stringMatching(/^soon\.crt the certificate expired on/)])
  expect(fresh.identities).toEqual([])
})

test("a pair of the future serves when its time has come, without a change of its files", async () => {
  using folder = new CertsFolder(pair("site", root.issue({ names: ["a.example"], from: 2 })))
  const store = new CertificateStore(folder.path)
  for (let load = 0; load < 2; load++) {
    expect(problems(await store.load())).toEqual([
      expect.stringMatching(/^site\.crt the certificate is not valid before/),
    ])
    later()
  }
  later(3)
  expect(await store.load()).toEqual({ changed: true, problems: [] })
})

test("ten thousand pairs are read once; a load without a change reads nothing, and more pairs are too many", async () => {
  using folder = new CertsFolder({ "../one.pem": a.cert + a.key })
  const add = (i: number) => symlinkSync("../one.pem", folder.at(`site-${String(i).padStart(6, "0")}.pem`))
  for (let i = 0; i < MOST_PAIRS; i++) add(i)
  const reads: string[] = []
  const store = new CertificateStore(folder.path, (path, file) => {
    reads.push(file)
    return readPem(path, file)
  })
  later()
  expect(await store.load()).toEqual({ changed: true, problems: [] })
  expect([store.identities.length, reads.length]).toEqual([MOST_PAIRS, MOST_PAIRS])
  expect(await store.load()).toEqual({ changed: false, problems: [] })
  expect(reads.length).toBe(MOST_PAIRS)
  folder.remove("site-000007.pem")
  folder.write("site-000007.pem", b.cert + b.key)
  reads.length = 0
  expect(await store.load()).toEqual({ changed: true, problems: [] })
  expect(reads).toEqual(["site-000007.pem"])
  expect(chosen(store, "b.example")).toEqual(["site-000007.pem"])
  folder.write("zzz.pem", b.cert + b.key)
  expect(problems(await store.load())).toEqual([". more than 10000 pairs; those after site-009999.pem are left out"])
  folder.write("aaa.pem", b.cert + b.key)
  expect(problems(await store.load())).toEqual([". more than 10000 pairs; those after site-009998.pem are left out"])
  expect(store.folders()).toEqual([folder.path, folder.root])
})

test("loads that are asked for at once run one after the other", async () => {
  using folder = new CertsFolder(pair("site", a))
  const store = new CertificateStore(folder.path)
  const loads = await Promise.all([store.load(), store.load(), store.load()])
  expect(loads.map(({ changed }) => changed)).toEqual([true, false, false])
})

test("arbitrary files never make a load reject", async () => {
  using folder = new CertsFolder(pair("good", b))
  const store = new CertificateStore(folder.path)
  const bytes = new Uint8Array(500)
  for (let round = 0; round < 200; round++) {
    folder.write("noise.crt", crypto.getRandomValues(bytes))
    folder.write("noise.key", round % 2 === 0 ? crypto.getRandomValues(bytes) : b.key)
    expect((await store.load()).problems.map(({ file }) => file)).toEqual(["noise.crt"])
  }
  expect(chosen(store, "b.example")).toEqual(["good.crt"])
})
