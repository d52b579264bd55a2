// Following names of a real DNS server whose zone changes meanwhile.
import { afterAll, describe, expect, test } from "bun:test"
import { Effect, Fiber } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { formatIp } from "../../src/policy/address.ts"
import { makeDns } from "../../src/upstream/dns.ts"
import { follow, type DnsRecord, type Followed } from "../../src/upstream/follow.ts"
import { startKnot, type Knot } from "../helper/knot.ts"
import { installed } from "../helper/servers.ts"

const folder = mkdtempSync(join(tmpdir(), "tidegate-follow-"))
const conf = join(folder, "resolv.conf")
writeFileSync(conf, "search example.test\n")
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Follows a source, and gives what is told, one after the other. */
function following(knot: Knot, source: Followed) {
  const told: unknown[] = []
  let waiting: (() => void) | undefined
  const tell = (what: unknown) => {
    told.push(what)
    waiting?.()
  }
  const fiber = Effect.runFork(
    follow(source, {
      dns: makeDns({ servers: [knot.server], path: conf }),
      onRecords: (records) => tell(records.map(text)),
      onProblem: tell,
    }),
  )
  return {
    async next(): Promise<unknown> {
      while (told.length === 0) await new Promise<void>((resolve) => (waiting = resolve))
      return told.shift()
    },
    [Symbol.asyncDispose]: () => Effect.runPromise(Fiber.interrupt(fiber)),
  }
}

function text({ addresses, host, port, priority, weight }: DnsRecord): string {
  return `${weight}*${host}:${port}@${priority} ${addresses.map(formatIp).join(" ")}`.trim()
}

describe.skipIf(!installed("knotd", "knotc"))("a server's records are followed", () => {
  test.concurrent("of both families, through an alias, over a failure and back", async () => {
    await using knot = await startKnot("db 1 CNAME db-1", "db-1 1 A 10.0.0.1", "db-1 1 AAAA 2001:db8::1")
    await using followed = following(knot, { kind: "dns", host: "db.example.test.", port: 5432, tls: false })
    expect(await followed.next()).toEqual(["1*10.0.0.1:5432@0", "1*2001:db8::1:5432@0"])
    await knot.change("db 1 A 10.0.0.2", "db 1 A 10.0.0.3")
    expect(await followed.next()).toEqual(["1*10.0.0.2:5432@0", "1*10.0.0.3:5432@0"])
    // Gone: what was known stays.
    await knot.change()
    expect(await followed.next()).toBe("db.example.test.: NXDOMAIN: there is no such name")
    await knot.change("db 1 A 10.0.0.3", "db 1 A 10.0.0.2")
    expect(await followed.next()).toBeUndefined()
    await knot.change("db 1 A 10.0.0.4")
    expect(await followed.next()).toEqual(["1*10.0.0.4:5432@0"])
  })

  test.concurrent("of a service, with the addresses of its hosts, until there is no such service", async () => {
    await using knot = await startKnot(
      "_pg._tcp.db 1 SRV 0 60 5432 db-1",
      "_pg._tcp.db 1 SRV 0 0 5432 db-2",
      "_pg._tcp.db 1 SRV 10 5 5433 db-3.elsewhere.",
      "db-1 1 A 10.0.0.1",
      "db-1 1 AAAA 2001:db8::1",
      "db-2 1 A 10.0.0.2",
    )
    await using followed = following(knot, { kind: "srv", service: "_pg._tcp.db.example.test", tls: false })
    expect(await followed.next()).toEqual([
      "60*db-1.example.test:5432@0 2001:db8::1 10.0.0.1",
      "1*db-2.example.test:5432@0 10.0.0.2",
      "5*db-3.elsewhere:5433@10",
    ])
    // It knows nothing of that one.
    expect(await followed.next()).toStartWith("db-3.elsewhere.: REFUSED from 127.0.0.1 port ")
    await knot.change("_pg._tcp.db 1 SRV 0 60 5432 db-1", "db-1 1 A 10.0.0.9")
    expect(await followed.next()).toEqual(["60*db-1.example.test:5432@0 10.0.0.9"])
    expect(await followed.next()).toBeUndefined()
    await knot.change("_pg._tcp.db 1 SRV 0 0 0 .")
    expect(await followed.next()).toEqual([])
  })

  test.concurrent("of 500 addresses, which take TCP", async () => {
    const many = Array.from({ length: 500 }, (_, i) => `10.0.${i >> 8}.${i & 255}`)
    await using knot = await startKnot(...many.map((address) => `db 60 A ${address}`))
    await using followed = following(knot, { kind: "dns", host: "db.example.test.", port: 1, tls: false })
    expect(await followed.next()).toEqual(many.map((address) => `1*${address}:1@0`).sort())
  })

  test.concurrent("of a server that goes away: what was known stays", async () => {
    const knot = await startKnot("db 1 A 10.0.0.1")
    // With the domain that is searched.
    await using followed = following(knot, { kind: "dns", host: "db", port: 5432, tls: false })
    expect(await followed.next()).toEqual(["1*10.0.0.1:5432@0"])
    await knot[Symbol.asyncDispose]()
    expect(await followed.next()).toMatch(/^db: no DNS server there \(127\.0\.0\.1 port \d+\)$/)
  })
})
