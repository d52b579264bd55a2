// Certificates of clients: who is let in, the first time and with a session of before.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test"
import { respond } from "../../src/policy/decision.ts"
import type { ClientCertificateMode, Terminated, TerminateOptions } from "../../src/policy/terminate.ts"
import { authority, openssl, type Issued } from "../helper/certificates.ts"
import { gateway, type TestGateway } from "../helper/data-path.ts"
import { eventually } from "../helper/eventually.ts"
import { alertIn, sClient } from "../helper/openssl-client.ts"
import { installed } from "../helper/servers.ts"

// Waits for conditions: on a busy machine it is slow, not wrong.
setDefaultTimeout(60_000)

const folder = mkdtempSync(join(tmpdir(), "tidegate-mutual-"))
afterAll(() => rmSync(folder, { recursive: true }))
let files = 0
const newFile = () => join(folder, String(files++))

const root = authority()
const intermediate = root.intermediate()
const server = root.issue({ names: ["a.test", "b.test", "*.c.test"] })
const certificates = { cert: server.cert, key: server.key }

const amy = root.issue({ names: ["amy"], usage: "client" })
const revoked = root.issue({ names: ["revoked"], usage: "client" })

function selfSigned(): Issued {
  const [cert, key] = [newFile(), newFile()]
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key]
  openssl(["req", "-x509", ...newKey, "-out", cert, "-subj", "/CN=self", "-days", "30"])
  return { path: { cert, key, combined: cert } } as Issued
}

const CLIENTS: Readonly<Record<string, Issued | undefined>> = {
  good: amy,
  intermediate: intermediate.issue({ names: ["ida"], usage: "client" }),
  expired: root.issue({ names: ["eve"], usage: "client", from: -10, days: 5 }),
  "not yet valid": root.issue({ names: ["noah"], usage: "client", from: 5, days: 5 }),
  revoked,
  unknown: authority({ name: "Other root" }).issue({ names: ["uma"], usage: "client" }),
  "self-signed": selfSigned(),
  "of a server": root.issue({ names: ["srv"], usage: "server" }),
  missing: undefined,
}

/** Why it does not verify. */
const DOUBTS: Readonly<Record<string, string>> = {
  expired: "CERT_HAS_EXPIRED",
  "not yet valid": "CERT_NOT_YET_VALID",
  revoked: "CERT_REVOKED",
  unknown: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  // Of several doubts the last one is told.
  "self-signed": "UNABLE_TO_GET_CRL",
  "of a server": "INVALID_PURPOSE",
}

const crl = [root.crl([revoked]), intermediate.crl([])]
const verify = { clientCertificate: "require-and-verify", ca: root.cert, crl } as const

interface Doorman extends TestGateway {
  /** What was agreed on with whoever was let in. */
  readonly admitted: Terminated[]
  /** From the next connection on. */
  wants: TerminateOptions
}

function doorman(wants: TerminateOptions): Doorman {
  const admitted: Terminated[] = []
  const gate = gateway(async (connection) => {
    admitted.push(await connection.terminate({ certificates, ...door.wants }))
    return respond("welcome")
  })
  const door: Doorman = Object.assign(gate, { admitted, wants })
  return door
}

const shows = (client: Issued | undefined) =>
  client === undefined ? [] : ["-cert", client.path.cert, "-key", client.path.key, "-cert_chain", client.path.cert]

interface Visit {
  readonly answer: string
  readonly alert: string | undefined
  readonly reason: string | null
  readonly close: string
}

async function visit(door: Doorman, args: readonly string[]): Promise<Visit> {
  const before = door.events.length
  const said = await sClient(door.port, args)
  const event = (await door.ended(before + 1))[before]!
  return { answer: said.stdout, alert: alertIn(said), reason: event.policy!.reason, close: event.close.reason }
}

const verdict = (found: Terminated["clientCertificate"]) =>
  found === undefined ? [] : [{ verified: found.verified, unverified: found.unverified }]

const VERSIONS = ["-tls1_2", "-tls1_3"] as const
const MODES: readonly ClientCertificateMode[] = ["require-and-verify", "require-any", "request"]

describe.each(MODES)("%s", (mode) => {
  describe.each(VERSIONS)("%s", (version) => {
    test.each(Object.keys(CLIENTS))("a client whose certificate is %s", async (kind) => {
      if (!installed("openssl")) return
      const client = CLIENTS[kind]
      const doubt = DOUBTS[kind]
      const isIn =
        mode === "request" || (mode === "require-any" ? client !== undefined : client !== undefined && !doubt)
      using door = doorman({ ...verify, clientCertificate: mode })
      const session = newFile()
      const first = await visit(door, [version, "-sess_out", session, ...shows(client)])
      expect([first.answer, first.close]).toEqual(isIn ? ["welcome", "answered"] : ["", "tls-handshake-failed"])
      if (!isIn && client !== undefined) expect(first.reason).toBe(`the client's certificate: ${doubt}`)
      if (!isIn && client === undefined) expect(first.reason).toStartWith("the client has no certificate")
      // Whatever session there is, it opens no door; also not when nothing is shown any more.
      const offers = existsSync(session) ? ["-sess_in", session] : []
      const again = await visit(door, [version, ...offers, ...shows(client)])
      const bare = await visit(door, [version, ...offers])
      expect([again.answer, again.close]).toEqual([first.answer, first.close])
      if (!isIn) expect([bare.answer, bare.close]).toEqual(["", "tls-handshake-failed"])
      const known = client === undefined ? [] : [{ verified: doubt === undefined, unverified: doubt }]
      const found = door.admitted.map(({ clientCertificate, resumed }) => ({
        resumed,
        known: verdict(clientCertificate),
      }))
      expect(found).toEqual(isIn ? [false, true, true].map((resumed) => ({ resumed, known })) : [])
      expect([door.failures, door.internalErrors]).toEqual([[], []])
    })
  })
})

const serialOf = (pem: string) => openssl(["x509", "-noout", "-serial"], pem).trim().replace("serial=", "")

describe("lists of revoked certificates", () => {
  const other = authority({ name: "Other root" })
  const bob = other.issue({ names: ["bob"], usage: "client" })
  const ida = CLIENTS["intermediate"]!
  const both = [root.cert, other.cert]
  test.each<[string, Issued, TerminateOptions, string | undefined]>([
    ["two, and the first is silent", amy, { ca: both, crl: [root.crl([]), other.crl([bob])] }, undefined],
    ["two, and the second is silent", bob, { ca: both, crl: [root.crl([amy]), other.crl([])] }, undefined],
    ["two in one text", bob, { ca: both, crl: root.crl([]) + other.crl([]) }, undefined],
    ["two, and the first names it", amy, { ca: both, crl: [root.crl([amy]), other.crl([])] }, "CERT_REVOKED"],
    ["two, and the second names it", bob, { ca: both, crl: [root.crl([]), other.crl([bob])] }, "CERT_REVOKED"],
    ["none of its authority", bob, { ca: both, crl: root.crl([]) }, "UNABLE_TO_GET_CRL"],
    ["none of the one between", ida, { ca: root.cert, crl: root.crl([]) }, "UNABLE_TO_GET_CRL"],
    ["of the one between", ida, { ca: root.cert, crl: [root.crl([]), intermediate.crl([ida])] }, "CERT_REVOKED"],
    [
      "that name the one between",
      ida,
      { ca: root.cert, crl: [root.crl([serialOf(intermediate.cert)]), intermediate.crl([])] },
      "CERT_REVOKED",
    ],
    ["an expired one", amy, { ca: root.cert, crl: root.crl([], -0.5) }, "CRL_HAS_EXPIRED"],
  ])("%s", async (_, client, wants, doubt) => {
    if (!installed("openssl")) return
    using door = doorman({ clientCertificate: "require-and-verify", ...wants })
    for (const version of VERSIONS) {
      const { answer, reason } = await visit(door, [version, ...shows(client)])
      const refused = ["", `the client's certificate: ${doubt}`]
      expect([answer, reason]).toEqual(doubt === undefined ? ["welcome", null] : refused)
    }
  })
})

describe.each(VERSIONS)("a session of before (%s)", (version) => {
  /** The session that a client gets. */
  async function session(door: Doorman, ...args: string[]): Promise<string> {
    const file = newFile()
    expect((await visit(door, [version, "-sess_out", file, ...args])).answer).toBe("welcome")
    expect(existsSync(file)).toBe(true)
    return file
  }

  test("of a policy without mutual TLS is worth nothing where a certificate is required", async () => {
    if (!installed("openssl")) return
    using door = doorman({})
    using next = doorman(verify)
    const without = await session(door)
    door.wants = verify
    for (const at of [door, next]) {
      for (const name of ["a.test", "b.test"]) {
        const offers = [version, "-sess_in", without, "-servername", name]
        const refused = await visit(at, offers)
        expect([refused.answer, refused.close]).toEqual(["", "tls-handshake-failed"])
        expect((await visit(at, [...offers, ...shows(amy)])).answer).toBe("welcome")
        expect(at.admitted.at(-1)).toMatchObject({ resumed: false, clientCertificate: { commonName: "amy" } })
      }
    }
    for (const wants of [{ clientCertificate: "require-any" }, { clientCertificate: "request" }] as const) {
      door.wants = wants
      await visit(door, [version, "-sess_in", without, ...shows(amy)])
      expect(door.admitted.at(-1)).toMatchObject({ resumed: false, clientCertificate: { commonName: "amy" } })
    }
  })

  test("of a policy that takes any certificate is worth nothing where it has to verify", async () => {
    if (!installed("openssl")) return
    using door = doorman({ clientCertificate: "request", ca: root.cert })
    const unverified = await session(door, ...shows(CLIENTS["unknown"]))
    const bare = await session(door)
    door.wants = { ...verify, crl: root.crl([]) }
    for (const offer of [unverified, bare]) {
      const refused = await visit(door, [version, "-sess_in", offer])
      expect([refused.answer, refused.close]).toEqual(["", "tls-handshake-failed"])
    }
  })

  test("is not taken up under another name, and is under its own", async () => {
    if (!installed("openssl")) return
    for (const wants of [{}, verify]) {
      using door = doorman(wants)
      const offers = [version, "-sess_in", await session(door, ...shows(amy)), ...shows(amy)]
      for (const other of [["-servername", "b.test"], ["-servername", "x.c.test"], ["-noservername"]])
        await visit(door, [...offers, ...other])
      await visit(door, offers)
      expect(door.admitted.map(({ resumed }) => resumed)).toEqual([false, false, false, false, true])
    }
  })

  test("is not taken up once its certificate is revoked, its authority is another, or others can sign it", async () => {
    if (!installed("openssl")) return
    using door = doorman(verify)
    const offers = [version, "-sess_in", await session(door, ...shows(amy)), ...shows(amy)]
    door.wants = { ...verify, crl: [root.crl([amy]), intermediate.crl([])] }
    expect((await visit(door, offers)).reason).toBe("the client's certificate: CERT_REVOKED")
    door.wants = {
      ...verify,
      ca: authority({ name: "Other root" }).cert,
      crl: authority({ name: "Other root" }).crl([]),
    }
    expect((await visit(door, offers)).reason).toBe("the client's certificate: UNABLE_TO_VERIFY_LEAF_SIGNATURE")
    door.wants = verify
    expect((await visit(door, offers)).answer).toBe("welcome")
    expect(door.admitted.map(({ resumed }) => resumed)).toEqual([false, true])
  })

  test.concurrent("is not taken up once its certificate has expired", async () => {
    if (!installed("openssl")) return
    // Whole seconds: the certificate ends within the next three.
    const brief = root.issue({ names: [`brief${version}`], usage: "client", from: -1, days: 1 + 3 / 86_400 })
    using door = doorman({ clientCertificate: "require-and-verify", ca: root.cert })
    using lenient = doorman({ clientCertificate: "request", ca: root.cert })
    const offers = [version, "-sess_in", await session(door, ...shows(brief))]
    const doubtful = [version, "-sess_in", await session(lenient, ...shows(brief))]
    expect((await visit(door, offers)).answer).toBe("welcome")
    const { notAfter } = door.admitted[0]!.clientCertificate!
    await eventually(() => Date.now() > notAfter.getTime())
    expect((await visit(door, offers)).reason).toBe("the client's certificate: CERT_HAS_EXPIRED")
    await visit(lenient, doubtful)
    expect(door.admitted.map(({ resumed }) => resumed)).toEqual([false, true])
    expect(lenient.admitted.at(-1)).toMatchObject({
      resumed: true,
      clientCertificate: { verified: false, unverified: "CERT_HAS_EXPIRED" },
    })
  })

  test("of another gateway, or made up, is no more than a full handshake", async () => {
    if (!installed("openssl")) return
    using door = doorman(verify)
    using other = doorman(verify)
    const theirs = await session(other, ...shows(amy))
    expect((await visit(door, [version, "-sess_in", theirs])).close).toBe("tls-handshake-failed")
    expect((await visit(door, [version, "-sess_in", theirs, ...shows(amy)])).answer).toBe("welcome")
    expect(door.admitted.map(({ resumed }) => resumed)).toEqual([false])
  })
})

test("a session of TLS 1.3 brings no early data, which could be replayed", async () => {
  if (!installed("openssl")) return
  using door = doorman({})
  const session = newFile()
  await visit(door, ["-tls1_3", "-sess_out", session])
  expect(openssl(["sess_id", "-in", session, "-noout", "-text"])).toMatch(/Max Early Data: 0\n/)
})

test("a chain that is larger than the handshake takes is refused, and does not stop the gateway", async () => {
  if (!installed("openssl")) return
  const chain = newFile()
  writeFileSync(chain, amy.leaf.repeat(12_000))
  using door = doorman({ clientCertificate: "require-any" })
  for (const version of VERSIONS) {
    const { answer, reason } = await visit(door, [
      version,
      "-cert",
      amy.path.cert,
      "-key",
      amy.path.key,
      "-cert_chain",
      chain,
    ])
    expect([answer, reason]).toEqual(["", "excessive message size (EXCESSIVE_MESSAGE_SIZE)"])
  }
  expect((await visit(door, shows(amy))).answer).toBe("welcome")
})
