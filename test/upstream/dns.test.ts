// Names over servers of this process that answer well, badly, late or never. A real server is in follow-server.test.ts.
import { afterAll, describe, expect, test } from "bun:test"
import { Effect, Fiber } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { formatIp } from "../../src/policy/address.ts"
import { makeDns, type Addresses, type Services } from "../../src/upstream/dns.ts"
import { DnsServerInvalid } from "../../src/upstream/dns-settings.ts"
import type { LookupFailed, NothingFound } from "../../src/upstream/dns-failed.ts"
import { descriptors } from "../helper/black-hole.ts"
import { eventually } from "../helper/eventually.ts"
import { a, aaaa, cname, fakeDns, replyTo, soa, srv, type Asked, type Replies } from "../helper/fake-dns.ts"
import { freePort } from "../helper/ports.ts"

const folder = mkdtempSync(join(tmpdir(), "tidegate-dns-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let files = 0

/** A resolv.conf; a second for each answer, once, unless the text says otherwise. */
function conf(text = ""): string {
  const path = join(folder, String(files++))
  writeFileSync(path, `search .\noptions timeout:1 attempts:1\n${text}`)
  return path
}

function shown(found: Addresses | Services): unknown {
  if (!("services" in found)) return { ...found, ipv4: found.ipv4?.map(formatIp), ipv6: found.ipv6?.map(formatIp) }
  const addresses = Array.from(found.addresses, ([host, ips]) => [host, ips.map(formatIp)])
  return { ...found, addresses: Object.fromEntries(addresses) }
}

/** What was found, addresses as texts, or why nothing was. */
function outcome(asked: Effect.Effect<Addresses | Services, LookupFailed | NothingFound>): Promise<unknown> {
  return Effect.runPromise(
    Effect.match(asked, {
      onSuccess: shown,
      onFailure: (failure) =>
        failure._tag === "NothingFound" ? `nothing for ${failure.ttl} s: ${failure.message}` : failure.message,
    }),
  )
}

const silent: (asked: Asked) => Replies = () => undefined

function onlyIpv4({ type }: Asked): Replies {
  return type === "A" ? { answers: [a("db.test", "10.0.0.1", 30)] } : { authorities: [soa("test", 60)] }
}

describe("a name", () => {
  test("has the addresses of both families, for as long as the least of them holds", async () => {
    using server = await fakeDns(({ name, type }) => ({
      answers: type === "A" ? [a(name, "10.0.0.1", 30)] : [aaaa(name, "2001:db8::1", 20)],
    }))
    const dns = makeDns({ servers: [server.server], path: conf() })
    expect(await outcome(dns.addresses("db.test"))).toEqual({
      ipv4: ["10.0.0.1"],
      ipv6: ["2001:db8::1"],
      problem: undefined,
      ttl: 20,
    })
    expect(server.asked.map(({ over, type }) => `${type} ${over}`).sort()).toEqual(["A udp", "AAAA udp"])
  })

  test("of one family has those", async () => {
    using server = await fakeDns(onlyIpv4)
    const dns = makeDns({ servers: [server.server], path: conf() })
    expect(await outcome(dns.addresses("db.test"))).toEqual({
      ipv4: ["10.0.0.1"],
      ipv6: [],
      problem: undefined,
      ttl: 30,
    })
  })

  test("that there is not is told with how long that holds", async () => {
    using server = await fakeDns(() => ({ rcode: 3, authorities: [soa("test", 60)] }))
    const dns = makeDns({ servers: [server.server], path: conf() })
    expect(await outcome(dns.addresses("db.test"))).toBe("nothing for 60 s: db.test: NXDOMAIN: there is no such name")
    expect(await outcome(dns.services("_pg._tcp.test"))).toStartWith("nothing for 60 s: _pg._tcp.test: NXDOMAIN")
    using empty = await fakeDns(() => ({ authorities: [soa("test", 7)] }))
    const other = makeDns({ servers: [empty.server], path: conf() })
    expect(await outcome(other.addresses("db.test"))).toBe(
      "nothing for 7 s: db.test: it has no A records and it has no AAAA records",
    )
  })

  test("has its services", async () => {
    using server = await fakeDns(({ name }) => ({
      answers: [srv(name, "db-1.test", 5432, { weight: 3, priority: 1 })],
      additionals: [a("db-1.test", "10.0.0.1")],
    }))
    const dns = makeDns({ servers: [server.server], path: conf() })
    expect(await outcome(dns.services("_pg._tcp.test"))).toEqual({
      kind: "services",
      services: [{ host: "db-1.test", port: 5432, priority: 1, weight: 3 }],
      addresses: { "db-1.test": ["10.0.0.1"] },
      ttl: 60,
    })
  })

  test("that is another one is asked for under that name, a few times", async () => {
    using server = await fakeDns(({ name, type }) => {
      if (name === "db.test") return { answers: [cname("db.test", "c.test", 5)] }
      return type === "A" ? { answers: [a("c.test", "10.0.0.3", 60)] } : { authorities: [soa("test", 60)] }
    })
    const dns = makeDns({ servers: [server.server], path: conf() })
    expect(await outcome(dns.addresses("db.test"))).toMatchObject({ ipv4: ["10.0.0.3"], ttl: 5 })
    using circle = await fakeDns(({ name }) => ({ answers: [cname(name, name === "a.test" ? "b.test" : "a.test")] }))
    const other = makeDns({ servers: [circle.server], path: conf() })
    expect(await outcome(other.services("a.test"))).toBe("a.test: its aliases have no end")
    expect(circle.asked).toHaveLength(5)
  })
})

describe("a family", () => {
  test("that fails does not take the other one's addresses away", async () => {
    using server = await fakeDns((asked) => (asked.type === "A" ? onlyIpv4(asked) : { rcode: 2 }))
    const dns = makeDns({ servers: [server.server], path: conf() })
    expect(await outcome(dns.addresses("db.test"))).toEqual({
      ipv4: ["10.0.0.1"],
      ipv6: undefined,
      problem: `SERVFAIL from 127.0.0.1 port ${server.port}`,
      ttl: 30,
    })
  })

  test("that nobody answers about is not waited for", async () => {
    using server = await fakeDns((asked) => (asked.type === "A" ? onlyIpv4(asked) : undefined))
    const dns = makeDns({ servers: [server.server], path: conf("options timeout:30 attempts:5\n") })
    expect(await outcome(dns.addresses("db.test"))).toMatchObject({
      ipv4: ["10.0.0.1"],
      ipv6: undefined,
      problem: "no answer about AAAA records",
    })
  })

  test("that fails while the other has nothing says that nobody knows", async () => {
    using server = await fakeDns(({ type }) => (type === "A" ? { authorities: [soa("test", 60)] } : { rcode: 5 }))
    const dns = makeDns({ servers: [server.server], path: conf() })
    expect(await outcome(dns.addresses("db.test"))).toBe(`db.test: REFUSED from 127.0.0.1 port ${server.port}`)
  })
})

describe("a server", () => {
  test("that is silent is given up", async () => {
    using server = await fakeDns(silent)
    const before = descriptors().size
    const dns = makeDns({ servers: [server.server], path: conf() })
    expect(await outcome(dns.services("_pg._tcp.test"))).toBe(
      `_pg._tcp.test: no answer from 127.0.0.1 port ${server.port} within 1000 ms`,
    )
    expect(descriptors().size).toBe(before)
  })

  test("that is not there is told at once, and the next one asked", async () => {
    using server = await fakeDns(onlyIpv4)
    const nobody = freePort()
    const dns = makeDns({ servers: [`127.0.0.1:${nobody}`, server.server], path: conf("options timeout:30\n") })
    expect(await outcome(dns.addresses("db.test"))).toMatchObject({ ipv4: ["10.0.0.1"] })
    const alone = makeDns({ servers: [`127.0.0.1:${nobody}`], path: conf("options timeout:30\n") })
    expect(await outcome(alone.addresses("db.test"))).toBe(`db.test: no DNS server there (127.0.0.1 port ${nobody})`)
  })

  test("that answered is asked first from then on", async () => {
    using broken = await fakeDns(() => ({ rcode: 2 }))
    using works = await fakeDns(onlyIpv4)
    const dns = makeDns({ servers: [broken.server, works.server], path: conf() })
    await outcome(dns.addresses("db.test"))
    const before = broken.asked.length
    expect(await outcome(dns.addresses("db.test"))).toMatchObject({ ipv4: ["10.0.0.1"] })
    expect(broken.asked).toHaveLength(before)
  })

  test("is asked as often as resolv.conf says", async () => {
    using server = await fakeDns(() => ({ rcode: 2 }))
    const dns = makeDns({ servers: [server.server], path: conf("options attempts:3\n") })
    await outcome(dns.services("_pg._tcp.test"))
    expect(server.asked).toHaveLength(3)
  })

  test("whose answer does not fit is asked over TCP", async () => {
    const answers = Array.from({ length: 800 }, (_, i) => a("db.test", `10.0.${i >> 8}.${i & 255}`))
    using server = await fakeDns(({ over, type }) => {
      if (type !== "A") return { authorities: [soa("test", 60)] }
      return over === "udp" ? { flags: 0x380 } : { answers }
    })
    const dns = makeDns({ servers: [server.server], path: conf() })
    const found = await Effect.runPromise(dns.addresses("db.test"))
    expect(found.ipv4).toHaveLength(800)
    expect(server.asked.filter(({ type }) => type === "A").map(({ over }) => over)).toEqual(["udp", "tcp"])
  })

  test("that cuts its answer off over TCP too, or closes, has said nothing", async () => {
    using cut = await fakeDns(() => ({ flags: 0x380 }))
    const dns = makeDns({ servers: [cut.server], path: conf() })
    expect(await outcome(dns.services("a.test"))).toBe(
      `a.test: an answer from 127.0.0.1 port ${cut.port} that is cut off`,
    )
    using other = await fakeDns(({ over }) => (over === "udp" ? { flags: 0x380 } : Uint8Array.of(1, 2, 3)))
    const second = makeDns({ servers: [other.server], path: conf() })
    expect(await outcome(second.services("a.test"))).toBe(
      `a.test: an answer to another question (127.0.0.1 port ${other.port})`,
    )
  })

  test("that knows no EDNS is asked without", async () => {
    using server = await fakeDns((asked) => (asked.withOptions ? { rcode: 1 } : onlyIpv4(asked)))
    const dns = makeDns({ servers: [server.server], path: conf() })
    expect(await outcome(dns.addresses("db.test"))).toMatchObject({ ipv4: ["10.0.0.1"] })
  })

  test("is heard behind datagrams that answer something else", async () => {
    using server = await fakeDns((asked) => {
      const guess = (id: number, name = asked.name) =>
        replyTo({ ...asked, id, name }, { answers: [a(name, "6.6.6.6")] })
      const right = onlyIpv4(asked)
      return [
        guess(asked.id ^ 1),
        guess(asked.id, "other.test"),
        Uint8Array.of(1),
        new Uint8Array(0),
        ...[right].flat(),
      ] as Replies
    })
    const dns = makeDns({ servers: [server.server], path: conf() })
    expect(await outcome(dns.addresses("db.test"))).toMatchObject({ ipv4: ["10.0.0.1"], ipv6: [] })
  })

  test("that sends nothing but such is given up", async () => {
    using server = await fakeDns((asked) =>
      Array.from({ length: 100 }, (_, i) => replyTo({ ...asked, id: asked.id ^ (i + 1) }, {})),
    )
    const dns = makeDns({ servers: [server.server], path: conf("options timeout:30\n") })
    expect(await outcome(dns.services("a.test"))).toBe(
      `a.test: nothing but answers to other questions (127.0.0.1 port ${server.port})`,
    )
  })

  test("that sends what cannot be read has said nothing", async () => {
    using server = await fakeDns(({ id }) =>
      Uint8Array.of(id >> 8, id & 255, 0x81, 0x80, 0, 1, 255, 255, 0, 0, 0, 0, 99),
    )
    const dns = makeDns({ servers: [server.server], path: conf() })
    expect(await outcome(dns.services("a.test"))).toBe(
      `a.test: an answer that cannot be read from 127.0.0.1 port ${server.port}`,
    )
  })

  test("has to have an address", () => {
    expect(() => makeDns({ servers: ["ns.test"] })).toThrow(DnsServerInvalid)
    expect(() => makeDns({ servers: ["10.0.0.1:dns"] })).toThrow(
      '"10.0.0.1:dns" is not a DNS server: expected an address, like 10.0.0.53 or [::1]:5353',
    )
  })
})

/** A zone of these names. */
function known(...names: string[]): (asked: Asked) => Replies {
  return ({ name, type }) => {
    if (!names.includes(name)) return { rcode: 3, authorities: [soa("test", 60)] }
    return type === "A" ? { answers: [a(name, "10.0.0.1")] } : { authorities: [soa("test", 60)] }
  }
}

/** The names that were asked for. */
function names(asked: readonly Asked[]): string[] {
  return asked.filter(({ type }) => type === "A").map(({ name }) => name)
}

describe("the names that are searched for", () => {
  test("are those of resolv.conf, in its order", async () => {
    using server = await fakeDns(known("db.two.test"))
    const dns = makeDns({ servers: [server.server], path: conf("search one.test two.test three.test\n") })
    expect(await outcome(dns.addresses("db"))).toMatchObject({ ipv4: ["10.0.0.1"] })
    expect(names(server.asked)).toEqual(["db.one.test", "db.two.test"])
  })

  test("end with a final dot", async () => {
    using server = await fakeDns(known("db.one.test"))
    const dns = makeDns({ servers: [server.server], path: conf("search one.test\n") })
    expect(await outcome(dns.addresses("db."))).toBe("nothing for 60 s: db.: NXDOMAIN: there is no such name")
    expect(names(server.asked)).toEqual(["db"])
  })

  test("go on after a server's failure, which counts when none of them is known", async () => {
    using server = await fakeDns((one) => (one.name === "db.one.test" ? { rcode: 2 } : known("db.two.test")(one)))
    const path = conf("search one.test two.test\n")
    expect(await outcome(makeDns({ servers: [server.server], path }).addresses("db"))).toMatchObject({
      ipv4: ["10.0.0.1"],
    })
    expect(await outcome(makeDns({ servers: [server.server], path: conf("search one.test\n") }).addresses("db"))).toBe(
      `db: SERVFAIL from 127.0.0.1 port ${server.port}`,
    )
  })

  test("do not go on after silence: it is not known that there is no such name", async () => {
    using server = await fakeDns((one) => (one.name === "db.one.test" ? undefined : known("db.two.test")(one)))
    const dns = makeDns({ servers: [server.server], path: conf("search one.test two.test\n") })
    expect(await outcome(dns.addresses("db"))).toBe(`db: no answer from 127.0.0.1 port ${server.port} within 1000 ms`)
    expect(names(server.asked)).toEqual(["db.one.test"])
  })
})

describe("resolv.conf", () => {
  test("is read again when it has changed, and holds when it is gone", async () => {
    using server = await fakeDns(onlyIpv4)
    const path = conf("search one.test\n")
    const dns = makeDns({ servers: [server.server], path })
    const searched = async () => {
      server.asked.length = 0
      await outcome(dns.services("_pg._tcp"))
      return server.asked.map(({ name }) => name)
    }
    expect(await searched()).toEqual(["_pg._tcp", "_pg._tcp.one.test"])
    writeFileSync(path, "search two.test\noptions ndots:2 timeout:1 attempts:1\n")
    expect(await searched()).toEqual(["_pg._tcp.two.test", "_pg._tcp"])
    rmSync(path)
    expect(await searched()).toEqual(["_pg._tcp.two.test", "_pg._tcp"])
  })

  test("that there is not means the server of this machine", async () => {
    const dns = makeDns({ path: join(folder, "absent") })
    // Whether there is one or not, it knows no such name.
    expect(await outcome(dns.addresses("no-such-name.invalid."))).toBeString()
  })
})

test("an interrupted look-up closes its sockets at once", async () => {
  using server = await fakeDns(silent)
  const before = descriptors().size
  const dns = makeDns({ servers: [server.server], path: conf("options timeout:30 attempts:5\n") })
  const fiber = Effect.runFork(dns.addresses("db.test"))
  await eventually(() => server.asked.length === 2)
  await Effect.runPromise(Fiber.interrupt(fiber))
  expect(descriptors().size).toBe(before)
})

test("at most 32 questions are under way at one time", async () => {
  using server = await fakeDns(silent)
  const dns = makeDns({ servers: [server.server], path: conf("options timeout:30 attempts:5\n") })
  const fibers = Array.from({ length: 30 }, () => Effect.runFork(dns.addresses("db.test")))
  await eventually(() => server.asked.length >= 32)
  using other = await fakeDns(onlyIpv4)
  const waiting = Effect.runFork(makeDns({ servers: [other.server], path: conf() }).addresses("db.test"))
  expect(server.asked).toHaveLength(32)
  expect(other.asked).toEqual([])
  await Effect.runPromise(Fiber.interruptAll(fibers))
  expect(await outcome(Fiber.join(waiting))).toMatchObject({ ipv4: ["10.0.0.1"] })
})
