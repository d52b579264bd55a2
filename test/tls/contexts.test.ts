import { describe, expect, test } from "bun:test"
import { checkTerminate, type TerminateOptions } from "../../src/policy/terminate.ts"
import { checkUpstreamTls } from "../../src/policy/upstream-tls.ts"
import { Contexts } from "../../src/tls/contexts.ts"
import { authority, type Issued } from "../helper/certificates.ts"

const pair = ({ cert, key }: Issued) => ({ cert, key })
const ca = authority()
const server = pair(ca.issue({ names: ["a.test"] }))
const rsa = pair(ca.issue({ names: ["a.test"], algorithm: "rsa" }))
const crl = ca.crl([])

/** The same text in another string. */
const copy = (text: string) => Buffer.from(text).toString()

const MINUTE = 60_000
const HOUR = 60 * MINUTE

function make(start = 100 * HOUR) {
  const clock = { now: start }
  const contexts = new Contexts(() => clock.now)
  const get = (options: TerminateOptions = {}, sni: string | undefined = "a.test", pairs = [server]) =>
    contexts.forClients(checkTerminate(options), pairs, sni)
  return { clock, contexts, get }
}

const verify = { clientCertificate: "require-and-verify", ca: ca.cert } as const

describe("for clients", () => {
  test("equal contents have one context, whatever strings they are in", () => {
    const { get } = make()
    const first = get({ ...verify, crl, alpn: ["h2"], ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" })
    const same = { ...verify, ca: [copy(ca.cert)], crl: copy(crl), alpn: ["h2"] }
    const pairs = [{ cert: copy(server.cert), key: copy(server.key) }]
    expect(get({ ...same, ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" }, "a.test", pairs)).toBe(first)
  })

  test("whatever differs makes it another", () => {
    const { get } = make()
    const all = [
      get(),
      get({}, "b.test"),
      get({}, ""),
      get({}, "a.test", [rsa]),
      get({}, "a.test", [rsa, server]),
      get({ minVersion: "1.3" }),
      get({ maxVersion: "1.2" }),
      get({ alpn: ["h2"] }),
      get({ alpn: ["h2", "http/1.1"] }),
      get({ ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" }),
      get({ clientCertificate: "request" }),
      get({ clientCertificate: "require-any" }),
      get({ clientCertificate: "require-any", ca: ca.cert }),
      get(verify),
      get({ ...verify, ca: [ca.cert, authority({ name: "Other root" }).cert] }),
      get({ ...verify, crl }),
      get({ ...verify, crl: ca.crl(["aa"]) }),
    ]
    expect(new Set(all).size).toBe(all.length)
  })

  test("one that verifies clients lasts no longer than an hour, so that no session does", () => {
    const { clock, get } = make()
    const [plain, verifying] = [get(), get(verify)]
    clock.now += HOUR - 1
    expect([get() === plain, get(verify) === verifying]).toEqual([true, true])
    clock.now += 1
    expect([get() === plain, get(verify) === verifying]).toEqual([true, false])
  })

  test("names without end share one, and take nothing from the others", () => {
    const { clock, get } = make()
    const first = get()
    const seen = new Set<unknown>()
    const MANY = 10_000
    for (let i = 0; i < MANY; i++) {
      seen.add(get({}, `n${i}.test`))
      if (i % 1000 === 0) expect(get()).toBe(first)
    }
    expect(seen.size).toBeWithin(1000, 5000)
    expect(get()).toBe(first)
    expect(get({}, "new.test")).toBe(get({}, "newer.test"))
    expect(get(verify, "new.test")).not.toBe(get({}, "new.test"))
    // Whatever nobody asked for in ten minutes makes room.
    clock.now += 5 * MINUTE
    get()
    clock.now += 6 * MINUTE
    expect(get({}, "new.test")).not.toBe(get({}, "newer.test"))
    expect(get()).toBe(first)
  })

  test("large lists of revoked certificates count for what they weigh", () => {
    const { get } = make()
    const long = ca.crl(Array.from({ length: 20_000 }, (_, i) => (0x10000000 + i).toString(16)))
    const seen = new Set<unknown>()
    for (let i = 0; i < 100; i++) seen.add(get({ ...verify, crl: long }, `n${i}.test`))
    expect(seen.size).toBeWithin(5, 40)
  })

  test("many certificates at once have room for each in turn", () => {
    const { get } = make()
    for (let i = 0; i < 5000; i++) {
      const pairs = [{ cert: `${server.cert}\n# ${i}`, key: server.key }]
      const found = get({}, `n${i}.test`, pairs)
      expect(get({}, `n${i}.test`, pairs)).toBe(found)
    }
  })
})

test("for upstreams: equal contents have one context, and whatever differs makes it another", () => {
  const { contexts } = make()
  const certificate = server
  const all = [
    undefined,
    { ca: ca.cert },
    { ca: [ca.cert, authority({ name: "Other root" }).cert] },
    { insecureSkipVerify: true },
    { ca: ca.cert, certificate },
    { certificate },
  ].map((tls) => (tls === undefined ? undefined : checkUpstreamTls(tls)))
  const found = all.map((tls) => contexts.forUpstream(tls))
  expect(new Set(found).size).toBe(found.length)
  expect(all.map((tls) => contexts.forUpstream(tls))).toEqual(found)
  // What is asked for and offered is not the context's.
  expect(contexts.forUpstream(checkUpstreamTls({ sni: "x.test", alpn: ["h2"], ca: copy(ca.cert) }))).toBe(found[1]!)
})
