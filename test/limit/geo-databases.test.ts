import { describe, expect, test } from "bun:test"
import { renameSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { GeoDatabase, GeoDatabaseInvalid } from "../../src/limit/geo-database.ts"
import { GeoDatabases } from "../../src/limit/geo-databases.ts"
import { formatIp, ipv4, parseIp, type Ip } from "../../src/policy/address.ts"
import { GeoUnavailable, NOWHERE, type Geo } from "../../src/policy/geo.ts"
import { folder } from "../helper/cli.ts"
import { mmdb, pointer, uint, type Database, type Value } from "../helper/mmdb.ts"
import { random } from "../helper/random.ts"

/** A record as MaxMind writes it. */
const place = (country: string, city?: string): Value => ({
  continent: { code: "EU", geoname_id: 1, names: { de: "Europa", en: "Europe" } },
  country: { geoname_id: 2, iso_code: country, names: { de: "irgendwo", en: "somewhere" } },
  ...(city === undefined ? {} : { city: { geoname_id: 3, names: { de: `${city} (deutsch)`, en: city } } }),
})
const network = (asn: number, organisation: string): Value => ({
  autonomous_system_number: asn,
  autonomous_system_organization: organisation,
})

const CITY: Database = {
  type: "GeoLite2-City",
  networks: {
    "192.0.2.0/24": place("DE", "Munich"),
    "192.0.2.128/25": place("FR"),
    "2001:db8::/32": place("JP", "Tokyo"),
  },
}
const ASN: Database = { type: "GeoLite2-ASN", networks: { "192.0.2.0/25": network(3320, "Deutsche Telekom AG") } }

const ip = (text: string): Ip => parseIp(text)!
const known = (facts: Partial<Geo>): Geo => ({ ...NOWHERE, ...facts })
/** Why the bytes are no database. */
function refused(bytes: Buffer): string {
  try {
    return `it is taken for a ${new GeoDatabase("/geo/a.mmdb", bytes).type}`
  } catch (error) {
    if (error instanceof GeoDatabaseInvalid) return error.message
    throw error
  }
}
const everywhere = (value: Value) => refused(mmdb({ type: "GeoLite2-City", networks: { "0.0.0.0/0": value } }))
const database = (made: Database) => new GeoDatabase("/geo/a.mmdb", mmdb(made))

describe.each([24, 28, 32] as const)("records of %d bits", (recordSize) => {
  test.each([4, 6] as const)("in a tree of IPv%d tell what the network has", (ipVersion) => {
    const { "2001:db8::/32": six, ...four } = CITY.networks
    const networks = ipVersion === 4 ? four : { ...four, "2001:db8::/32": six! }
    const found = database({ ...CITY, networks, recordSize, ipVersion })
    expect(found.type).toBe("GeoLite2-City")
    expect(found.lookUp(ip("192.0.2.1"))).toEqual(known({ country: "DE", continent: "EU", city: "Munich" }))
    expect(found.lookUp(ip("192.0.2.200"))).toEqual(known({ country: "FR", continent: "EU" }))
    expect(found.lookUp(ip("192.0.3.1"))).toBeUndefined()
    expect(found.lookUp(ip("10.0.0.1"))).toBeUndefined()
    expect(found.lookUp(ip("2001:db8::1"))).toEqual(
      ipVersion === 4 ? undefined : known({ country: "JP", continent: "EU", city: "Tokyo" }),
    )
    // The bits of 192.0.2.1 at the start of an IPv6 address.
    expect(found.lookUp(ip("c000:201::"))).toBeUndefined()
  })
})

test("many networks answer as looking for the longest prefix does", () => {
  const { below } = random(41)
  const networks: Record<string, Value> = {}
  const sorted = Array.from({ length: 2000 }, () => ({ a: (0x0a000000 + below(2 ** 20)) >>> 0, bits: 14 + below(19) }))
  sorted.sort((x, y) => x.bits - y.bits)
  for (const [i, { a, bits }] of sorted.entries())
    networks[`${formatIp(ipv4(a))}/${bits}`] = network(i + 1, `AS ${i + 1}`)
  const found = database({ type: "GeoLite2-ASN", networks, recordSize: 24 })
  for (let i = 0; i < 2000; i++) {
    const a = 0x0a000000 + below(2 ** 21)
    const last = sorted.findLastIndex(({ a: low, bits }) => a >>> (32 - bits) === low >>> (32 - bits))
    // Networks that are written twice have the later record.
    const expected = last < 0 ? undefined : Object.entries(networks)
    const asn = found.lookUp(ipv4(a))?.asn
    if (expected === undefined) expect(asn).toBeUndefined()
    else {
      const { bits } = sorted[last]!
      const same = sorted.findLastIndex((one) => one.bits === bits && one.a >>> (32 - bits) === a >>> (32 - bits))
      expect(asn).toBe(same + 1)
    }
  }
})

test("an Enterprise database has the network in its traits", () => {
  const record = { country: { iso_code: "DE" }, traits: network(64_500, "Example") }
  const found = database({ type: "GeoIP2-Enterprise", networks: { "192.0.2.0/24": record } })
  expect(found.lookUp(ip("192.0.2.1"))).toEqual(known({ country: "DE", asn: 64_500, organisation: "Example" }))
})

test("what is of another kind than it should be is not told", () => {
  const records: Value[] = [
    "DE",
    7,
    true,
    ["DE"],
    { country: "DE", city: { names: "x" } },
    { country: { iso_code: 3 } },
    {
      continent: ["EU"],
      autonomous_system_number: "3320",
      autonomous_system_organization: 5,
    },
  ]
  for (const record of records)
    expect(database({ type: "GeoLite2-City", networks: { "192.0.2.0/24": record } }).lookUp(ip("192.0.2.1"))).toEqual(
      NOWHERE,
    )
})

describe("a file that is not what it should be is refused", () => {
  const whole = mmdb(CITY)
  test.each([
    ["empty", Buffer.alloc(0), "it is no MaxMind database (*.mmdb), or only a part of one"],
    ["text", Buffer.from("192.0.2.0/24 DE\n"), "it is no MaxMind database (*.mmdb), or only a part of one"],
    ["without its end", whole.subarray(0, -300), "it is no MaxMind database (*.mmdb), or only a part of one"],
    ["without its beginning", whole.subarray(700), "its metadata does not fit its size; is the file whole?"],
    [
      "of another version",
      mmdb({ ...CITY, metadata: { binary_format_major_version: uint(5, 3, 2) } }),
      "version 3 of the format is not known; is the file whole?",
    ],
    [
      "with fewer nodes",
      mmdb({ ...CITY, metadata: { node_count: 12 } }),
      "its metadata does not fit its size; is the file whole?",
    ],
    [
      "with too many nodes",
      mmdb({ ...CITY, metadata: { node_count: 100_000 } }),
      "its metadata does not fit its size; is the file whole?",
    ],
    [
      "with odd records",
      mmdb({ ...CITY, metadata: { record_size: uint(5, 20, 2) } }),
      "its metadata cannot be read: Unsupported record size; is the file whole?",
    ],
    [
      "of IPv5",
      mmdb({ ...CITY, metadata: { ip_version: uint(5, 5, 2) } }),
      "its metadata does not fit its size; is the file whole?",
    ],
    [
      "of something else",
      mmdb({ ...CITY, type: "GeoIP2-Anonymous-IP" }),
      'geo() tells nothing of what "GeoIP2-Anonymous-IP" has: City, Country, Enterprise, ASN and ISP are of use',
    ],
  ])("%s", (_, bytes, problem) => {
    expect(refused(bytes)).toBe(`/geo/a.mmdb: ${problem}`)
  })

  test("whose data are broken where one looks before using it", () => {
    expect(everywhere(pointer(0))).toStartWith("/geo/a.mmdb: it is broken: ")
    expect(everywhere(pointer(0xfffffff0))).toStartWith("/geo/a.mmdb: it is broken: ")
    expect(everywhere(new Uint8Array([0, 99]))).toStartWith("/geo/a.mmdb: it is broken: ")
  })

  test("whatever byte is another one: it is refused, or answers, or fails with GeoUnavailable", () => {
    const { below } = random(42)
    let taken = 0
    for (let i = 0; i < 3000; i++) {
      const bytes = Buffer.from(whole)
      for (let more = 0; more <= below(3); more++) bytes[below(bytes.length)] = below(256)
      try {
        const found = new GeoDatabase("/geo/a.mmdb", bytes)
        taken++
        for (const address of ["192.0.2.1", "192.0.2.200", "2001:db8::1", "10.0.0.1"]) found.lookUp(ip(address))
      } catch (error) {
        if (!(error instanceof GeoDatabaseInvalid) && !(error instanceof GeoUnavailable)) throw error
      }
    }
    expect(taken).toBeGreaterThan(1000)
  })
})

test("a database that turns out to be broken fails the look-up, by name", () => {
  const found = database({ type: "GeoLite2-City", networks: { "192.0.2.0/32": pointer(0) } })
  expect(() => found.lookUp(ip("192.0.2.0"))).toThrow(GeoUnavailable)
  expect(() => found.lookUp(ip("192.0.2.0"))).toThrow("/geo/a.mmdb: the look-up of 192.0.2.0 failed: ")
  expect(found.lookUp(ip("192.0.2.1"))).toBeUndefined()
})

test("later databases add what earlier ones do not know, in the order of the paths, by name in a folder", async () => {
  await using dir = await folder({ "geo/readme.txt": "", "geo/.c.mmdb": "not one" })
  const at = (name: string, made: Database) => writeFileSync(join(dir.path, name), mmdb(made))
  at("geo/b-asn.mmdb", ASN)
  at("geo/a-country.mmdb", { type: "GeoLite2-Country", networks: { "192.0.2.0/24": place("AT") } })
  at("geo/z-anonymous.mmdb", { type: "GeoIP2-Anonymous-IP", networks: {} })
  at("city.mmdb", CITY)
  const first = await GeoDatabases.open([join(dir.path, "geo"), join(dir.path, "city.mmdb")])
  expect(first.problems).toEqual([])
  expect(first.ignored).toEqual([
    { path: join(dir.path, "geo/z-anonymous.mmdb"), message: expect.stringContaining("geo() tells nothing of") },
  ])
  const all = { continent: "EU", city: "Munich", asn: 3320, organisation: "Deutsche Telekom AG" }
  expect(first.databases.where(ip("192.0.2.1"))).toEqual({ country: "AT", ...all })
  expect(first.databases.where(ip("192.0.2.200"))).toEqual(known({ country: "AT", continent: "EU" }))
  expect(first.databases.where(ip("10.0.0.1"))).toEqual(NOWHERE)
  expect(first.databases.status().map(({ type }) => type)).toEqual([
    "GeoLite2-Country",
    "GeoLite2-ASN",
    "GeoLite2-City",
  ])
  const second = await GeoDatabases.open([join(dir.path, "city.mmdb"), join(dir.path, "geo")])
  expect(second.databases.where(ip("192.0.2.1"))).toEqual({ country: "DE", ...all })
})

test("many addresses are remembered, and the answers stay the same", async () => {
  await using dir = await folder()
  writeFileSync(join(dir.path, "a.mmdb"), mmdb(CITY))
  const { databases } = await GeoDatabases.open([dir.path])
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 20_000; i++) {
      const a = (0xc0000200 - 10_000 + i) >>> 0
      const expected = a >>> 8 !== 0xc00002 ? undefined : a & 128 ? "FR" : "DE"
      expect(databases.where(ipv4(a)).country).toBe(expected)
    }
  }
})

test("what cannot be used is said when it is opened", async () => {
  await using dir = await folder({ "empty/readme.txt": "", "text.mmdb": "no database", "bad/a.mmdb": "no database" })
  writeFileSync(join(dir.path, "other.mmdb"), mmdb({ ...CITY, type: "GeoIP2-Domain" }))
  const problems = async (...names: string[]) => {
    const opened = await GeoDatabases.open(names.map((name) => join(dir.path, name)))
    return opened.problems.map(({ message, path }) => `${path.replace(`${dir.path}/`, "")}: ${message}`)
  }
  expect(await problems("none")).toEqual(["none: cannot be read: there is no such file"])
  expect(await problems("empty")).toEqual(["empty: there is no *.mmdb file of use in this folder"])
  expect(await problems("text.mmdb", "other.mmdb", "bad")).toEqual([
    "text.mmdb: it is no MaxMind database (*.mmdb), or only a part of one",
    expect.stringContaining('other.mmdb: geo() tells nothing of what "GeoIP2-Domain" has'),
    "bad/a.mmdb: it is no MaxMind database (*.mmdb), or only a part of one",
  ])
})

test("databases are followed: replaced, broken, mended, come and gone", async () => {
  await using dir = await folder()
  const at = (name: string) => join(dir.path, name)
  const put = (name: string, bytes: Buffer) => {
    writeFileSync(at("new"), bytes)
    renameSync(at("new"), at(name))
  }
  put("city.mmdb", mmdb(CITY))
  const { databases } = await GeoDatabases.open([dir.path])
  const said: string[] = []
  const say = (level: string) => (message: string) =>
    void said.push(`${level} ${message.replaceAll(`${dir.path}/`, "")}`)
  const news = { info: say("info"), warn: say("warn"), error: say("error") }
  const until = async (condition: () => boolean) => {
    while (!condition()) {
      await databases.look(news)
      await Bun.sleep(2)
    }
  }
  const country = () => databases.where(ip("192.0.2.1")).country
  expect(databases.folders()).toEqual([dir.path])
  expect(country()).toBe("DE")

  put(
    "city.mmdb",
    mmdb({ ...CITY, networks: { "192.0.2.0/24": place("IT") }, builtAt: new Date("2026-11-20T12:00:00Z") }),
  )
  await until(() => country() === "IT")
  put("city.mmdb", Buffer.from("half"))
  await until(() => said.length === 2)
  expect(country()).toBe("IT")
  expect(databases.status()).toEqual([
    {
      file: expect.stringContaining("city.mmdb"),
      type: "GeoLite2-City",
      built: "2026-11-20T12:00:00.000Z",
      problem: expect.stringContaining("city.mmdb: it is no MaxMind database"),
    },
  ])
  put("city.mmdb", mmdb(CITY))
  await until(() => country() === "DE")
  put("asn.mmdb", mmdb(ASN))
  await until(() => databases.where(ip("192.0.2.1")).asn === 3320)
  rmSync(at("city.mmdb"))
  await until(() => said.length === 5)
  expect(country()).toBe("DE")
  // One that never was good is only mentioned.
  writeFileSync(at("bad.mmdb"), "bad")
  await until(() => said.length === 6)
  await databases.look(news)
  expect(said).toEqual([
    "info city.mmdb: GeoLite2-City of 2026-11-20",
    "error city.mmdb: it is no MaxMind database (*.mmdb), or only a part of one; the last good version stays (GeoLite2-City of 2026-11-20)",
    "info city.mmdb: GeoLite2-City of 1970-01-01",
    "info asn.mmdb: GeoLite2-ASN of 1970-01-01",
    "error city.mmdb: cannot be read: there is no such file; the last good version stays (GeoLite2-City of 1970-01-01)",
    "warn bad.mmdb: it is no MaxMind database (*.mmdb), or only a part of one",
  ])
})

test("a database that is copied in place, slowly, is not found bad while it comes", async () => {
  await using dir = await folder()
  const path = join(dir.path, "city.mmdb")
  writeFileSync(path, mmdb(CITY))
  const { databases } = await GeoDatabases.open([path])
  const said: string[] = []
  const say = (message: string) => void said.push(message)
  const look = () => databases.look({ info: () => undefined, warn: say, error: say })
  const bytes = mmdb({ ...CITY, networks: { "192.0.2.0/24": place("IT") } })
  truncateSync(path)
  for (let end = 0; end < bytes.length; end += 200) {
    writeFileSync(path, bytes.subarray(0, end))
    await look()
  }
  writeFileSync(path, bytes)
  while (databases.where(ip("192.0.2.1")).country !== "IT") await look()
  expect(said).toEqual([])
})
