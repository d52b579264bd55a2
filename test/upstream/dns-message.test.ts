import { describe, expect, test } from "bun:test"
import { decode, type Answer } from "dns-packet"
import { formatIp } from "../../src/policy/address.ts"
import { makeQuery, readAnswer, type Query, type Question } from "../../src/upstream/dns-message.ts"
import { a, aaaa, cname, replyTo, soa, srv, type Reply } from "../helper/fake-dns.ts"
import { random } from "../helper/random.ts"

function query(name: string, type: Question["type"] = "A"): Query {
  return makeQuery({ name, type }, true)
}

/** What an answer is read as, its addresses as texts. */
function read(asked: Query, reply: Reply): unknown {
  return shown(readAnswer(replyTo({ id: asked.id, ...asked.question }, reply), asked))
}

function shown(answer: ReturnType<typeof readAnswer>): unknown {
  if (answer?.kind === "addresses") return { ...answer, addresses: answer.addresses.map(formatIp) }
  if (answer?.kind !== "services") return answer
  const addresses = Object.fromEntries(Array.from(answer.addresses, ([host, ips]) => [host, ips.map(formatIp)]))
  return { ...answer, addresses }
}

describe("a question", () => {
  test("wants recursion, and answers of up to 1,232 bytes", () => {
    const { bytes, id } = query("db.test", "AAAA")
    const packet = decode(Buffer.from(bytes))
    expect(packet).toMatchObject({
      id,
      type: "query",
      flag_rd: true,
      questions: [{ name: "db.test", type: "AAAA", class: "IN" }],
      additionals: [{ type: "OPT", udpPayloadSize: 1232 }],
    })
    expect(decode(Buffer.from(makeQuery({ name: "db.test", type: "A" }, false).bytes)).additionals).toEqual([])
  })

  test("has an identifier of its own", () => {
    expect(new Set(Array.from({ length: 100 }, () => query("a").id)).size).toBeGreaterThan(90)
  })
})

describe("an answer", () => {
  test("has the addresses, and holds as long as the least of them", () => {
    const answers = [a("db.test", "10.0.0.1", 30), a("DB.test", "10.0.0.2", 5), aaaa("db.test", "::1", 1)]
    expect(read(query("db.test"), { answers })).toEqual({
      kind: "addresses",
      addresses: ["10.0.0.1", "10.0.0.2"],
      ttl: 5,
    })
    expect(read(query("Db.Test", "AAAA"), { answers })).toEqual({ kind: "addresses", addresses: ["::1"], ttl: 1 })
  })

  test("goes through aliases, in whatever order, and holds as long as they do", () => {
    const answers = [
      a("c.test", "10.0.0.1"),
      cname("b.test", "C.test", 7),
      a("x.test", "10.9.9.9"),
      cname("a.test", "b.test"),
    ]
    expect(read(query("a.test"), { answers })).toEqual({ kind: "addresses", addresses: ["10.0.0.1"], ttl: 7 })
  })

  test("that ends at an alias is one", () => {
    expect(read(query("a.test"), { answers: [cname("a.test", "b.other", 9)] })).toEqual({
      kind: "alias",
      to: "b.other",
      ttl: 9,
    })
  })

  test("whose aliases go in a circle, or on and on, is none", () => {
    const circle = [cname("a.test", "b.test"), cname("b.test", "a.test")]
    expect(read(query("a.test"), { answers: circle })).toMatchObject({ kind: "failed", why: "its aliases have no end" })
    const chain = Array.from({ length: 20 }, (_, i) => cname(`a${i}.test`, `a${i + 1}.test`))
    expect(read(query("a0.test"), { answers: chain })).toMatchObject({ kind: "failed", why: "its aliases have no end" })
  })

  test("says that there is nothing, and for how long", () => {
    const authorities = [soa("test", 120, 3600)]
    expect(read(query("db.test"), { rcode: 3, authorities })).toEqual({
      kind: "nothing",
      why: "NXDOMAIN: there is no such name",
      ttl: 120,
    })
    expect(read(query("db.test", "SRV"), { authorities: [soa("test", 120, 10)] })).toEqual({
      kind: "nothing",
      why: "it has no SRV records",
      ttl: 10,
    })
    expect(read(query("db.test"), { answers: [cname("db.test", "gone.test", 4)], authorities })).toMatchObject({
      ttl: 4,
    })
    // Of an alias that leads nowhere, and without a word for how long.
    expect(read(query("db.test"), { rcode: 3, answers: [cname("db.test", "gone.test")] })).toMatchObject({ ttl: 5 })
    expect(read(query("db.test"), {})).toMatchObject({ kind: "nothing", ttl: 5 })
  })

  test("that only points to other servers says nothing", () => {
    const authorities = [{ name: "test", type: "NS", class: "IN", ttl: 60, data: "ns.test" }] as const
    expect(read(query("db.test"), { flags: 0, authorities: [...authorities] })).toMatchObject({
      kind: "failed",
      why: "a referral to other servers",
    })
  })

  test("has services, and addresses of their hosts only", () => {
    const answers = [
      srv("_pg._tcp.test", "DB-1.test", 5432, { priority: 1, weight: 2, ttl: 30 }),
      srv("_pg._tcp.test", "db-2.test", 5433, { ttl: 20 }),
    ]
    const additionals = [a("db-1.test", "10.0.0.1", 9), aaaa("db-1.test", "::1"), a("db-3.test", "10.0.0.3", 1)]
    expect(read(query("_pg._tcp.test", "SRV"), { answers, additionals })).toEqual({
      kind: "services",
      services: [
        { host: "db-1.test", port: 5432, priority: 1, weight: 2 },
        { host: "db-2.test", port: 5433, priority: 0, weight: 0 },
      ],
      addresses: { "db-1.test": ["10.0.0.1", "::1"] },
      ttl: 9,
    })
  })

  test("whose services cannot be reached has none of them; the root is kept, for it has a meaning", () => {
    const asked = query("_pg._tcp.test", "SRV")
    const impossible = [
      srv("_pg._tcp.test", "10.0.0.1", 1),
      srv("_pg._tcp.test", "a b.test", 1),
      srv("_pg._tcp.test", "x.test", 0),
    ]
    expect(read(asked, { answers: impossible })).toMatchObject({
      kind: "failed",
      why: "its SRV records name no host and port",
    })
    expect(read(asked, { answers: [...impossible, srv("_pg._tcp.test", "ok.test", 1)] })).toMatchObject({
      services: [{ host: "ok.test" }],
    })
    expect(read(asked, { answers: [srv("_pg._tcp.test", ".", 0)] })).toMatchObject({
      services: [{ host: "", port: 0 }],
    })
  })

  test.each([
    [1, "FORMERR", true],
    [2, "SERVFAIL", false],
    [4, "NOTIMP", true],
    [5, "REFUSED", false],
    [9, "error 9", false],
  ])("with the error %i says nothing", (rcode, why, isOld) => {
    expect(read(query("db.test"), { rcode })).toEqual({ kind: "failed", why, isOld })
    expect(read(query("db.test"), { rcode, questions: [] })).toEqual({ kind: "failed", why, isOld })
  })

  test("that is cut off is told before anything else", () => {
    const asked = query("db.test")
    const whole = replyTo({ id: asked.id, ...asked.question }, { flags: 0x380, answers: [a("db.test", "10.0.0.1")] })
    for (let length = 12; length <= whole.length; length++) {
      expect(readAnswer(whole.subarray(0, length), asked)).toEqual({ kind: "truncated" })
    }
  })

  test("times beyond 68 years are none", () => {
    expect(read(query("db.test"), { answers: [a("db.test", "10.0.0.1", 0x8000_0000)] })).toMatchObject({ ttl: 0 })
  })
})

describe("not an answer", () => {
  const asked = query("db.test")
  const to = { id: asked.id, name: "db.test", type: "A" }
  const answers = [a("db.test", "10.0.0.1")]

  test.each([
    ["another identifier", replyTo({ ...to, id: asked.id ^ 1 }, { answers })],
    ["another name", replyTo({ ...to, name: "other.test" }, { answers })],
    ["another type", replyTo({ ...to, type: "AAAA" }, { answers })],
    ["another class", replyTo(to, { answers, questions: [{ name: "db.test", type: "A", class: "CH" }] })],
    ["no question", replyTo(to, { answers, questions: [] })],
    [
      "two questions",
      replyTo(to, {
        answers,
        questions: [
          { name: "db.test", type: "A" },
          { name: "db.test", type: "A" },
        ],
      }),
    ],
    ["the question itself", asked.bytes],
    ["nothing", new Uint8Array(0)],
    ["a header that is cut off", Uint8Array.of(asked.id >> 8, asked.id & 255, 0x80)],
  ])("is %s", (_, bytes) => {
    expect(readAnswer(bytes, asked)).toBeUndefined()
  })
})

test("arbitrary bytes, and answers with some changed, never throw", () => {
  const { below, pick } = random(7)
  const asked = [query("db.test"), query("db.test", "AAAA"), query("db.test", "SRV")]
  const records: Answer[] = [
    a("db.test", "10.0.0.1"),
    aaaa("db.test", "::1"),
    cname("db.test", "b.test"),
    srv("db.test", "b.test", 1),
    soa("test", 5),
    { name: "x.test", type: "TXT", ttl: 1, data: ["text"] },
  ]
  for (let round = 0; round < 30_000; round++) {
    const to = pick(asked)
    const some = () => Array.from({ length: below(4) }, () => pick(records))
    const reply = replyTo({ id: to.id, ...to.question }, { answers: some(), authorities: some(), additionals: some() })
    const from = below(5) === 0 ? 0 : 2
    const changed = reply.map((byte, i) => (i >= from && below(20) === 0 ? below(256) : byte))
    const bytes = below(4) === 0 ? changed.subarray(0, below(changed.length + 1)) : changed
    const answer = readAnswer(bytes, to)
    if (answer?.kind === "addresses") expect(answer.addresses.length).toBeGreaterThan(0)
    if (answer !== undefined && "ttl" in answer) expect(answer.ttl).toBeGreaterThanOrEqual(0)
  }
  for (let round = 0; round < 30_000; round++) {
    const to = pick(asked)
    const bytes = Uint8Array.from({ length: below(120) }, () => below(256))
    bytes.set([to.id >> 8, to.id & 255].slice(0, bytes.length))
    expect(() => readAnswer(bytes, to)).not.toThrow()
  }
})
