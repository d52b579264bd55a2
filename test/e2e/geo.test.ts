// Where clients come from: a database that has this machine's own addresses, in a running gateway and for the commands
// that ask the policies without one.
import { renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "bun:test"
import { askFrom } from "../helper/ask-from.ts"
import { folder, tidegate, type Folder } from "../helper/cli.ts"
import { mmdb, pointer, type Database } from "../helper/mmdb.ts"
import { RUNTIME, serve, start } from "../helper/serve.ts"

const POLICY = `import { deny, geo, respond } from "tidegate"
export const listen = "tcp://127.0.0.1:0"
export function on_tcp_connect(connection) {
  const { asn, city, country } = geo(connection)
  return country === "XX" ? deny("nowhere") : respond([country, city, asn].join(" "))
}
`

const CITY: Database = {
  type: "GeoLite2-City",
  networks: {
    "127.0.0.0/8": { country: { iso_code: "DE" }, city: { names: { en: "Munich" } } },
    "127.0.0.5": { country: { iso_code: "FR" } },
  },
  builtAt: new Date("2026-11-20T00:00:00Z"),
}
const ASN: Database = {
  type: "GeoLite2-ASN",
  networks: { "127.0.0.0/8": { autonomous_system_number: 3320, autonomous_system_organization: "Example" } },
}

/** A folder of databases, which are replaced as geoipupdate does it. */
async function databases(
  files: Readonly<Record<string, Buffer>>,
): Promise<Folder & { put: (name: string, bytes: Buffer) => void }> {
  const dir = await folder()
  const put = (name: string, bytes: Buffer) => {
    writeFileSync(join(dir.path, `${name}.temporary`), bytes)
    renameSync(join(dir.path, `${name}.temporary`), join(dir.path, name))
  }
  for (const [name, bytes] of Object.entries(files)) put(name, bytes)
  return { ...dir, put }
}

const NEEDS = "geo() needs a database: start with --geoip FOLDER (MaxMind's *.mmdb files)"

test("a gateway asks its databases, follows them, and keeps the last good ones", async () => {
  await using dir = await databases({ "city.mmdb": mmdb(CITY), "asn.mmdb": mmdb(ASN) })
  await using socket = await folder()
  await using gateway = await serve(
    { "a.ts": POLICY, "unix.ts": POLICY.replace("tcp://127.0.0.1:0", `unix:${socket.path}/x.sock`) },
    "--geoip",
    dir.path,
  )
  const port = await gateway.port("a.ts")
  const logged = (text: string) => gateway.until(() => gateway.log.find(({ message }) => message.includes(text)))
  expect(await askFrom("127.0.0.1", port)).toBe("DE Munich 3320")
  expect(await askFrom("127.0.0.5", port)).toBe("FR  3320")
  // A unix client is nowhere.
  const { promise, resolve } = Promise.withResolvers<string>()
  await Bun.connect({ unix: join(socket.path, "x.sock"), socket: { data: (_, chunk) => resolve(chunk.toString()) } })
  expect(await promise).toBe("  ")

  dir.put("city.mmdb", mmdb({ ...CITY, networks: { "127.0.0.0/8": { country: { iso_code: "IT" } } } }))
  await logged("city.mmdb: GeoLite2-City of 2026-11-20")
  while ((await askFrom("127.0.0.1", port)) !== "IT  3320") continue
  dir.put("asn.mmdb", mmdb(ASN).subarray(0, 200))
  await logged("asn.mmdb: it is no MaxMind database (*.mmdb), or only a part of one; the last good version stays")
  expect(await askFrom("127.0.0.1", port)).toBe("IT  3320")
  const { stdout } = await tidegate(["status", gateway.folder], { env: { XDG_RUNTIME_DIR: RUNTIME } })
  expect(stdout).toMatch(
    /DATABASE +STATE +BUILT +TYPE\n\S+asn.mmdb +kept +1970-01-01 +GeoLite2-ASN\n\S+city.mmdb +good +2026-11-20 +GeoLite2-City\n/,
  )
  expect(stdout).toContain("asn.mmdb: it is no MaxMind database")
  expect(gateway.log.filter(({ level }) => level === "error")).toHaveLength(1)
}, 120_000)

test("a database that is broken where a client comes from fails its policy, and says why", async () => {
  const broken = mmdb({
    type: "GeoLite2-City",
    networks: { "127.0.0.1": pointer(0), "127.0.0.2": { country: { iso_code: "DE" } } },
  })
  await using dir = await databases({ "city.mmdb": broken })
  await using gateway = await serve({ "a.ts": POLICY }, "--geoip", join(dir.path, "city.mmdb"))
  const port = await gateway.port("a.ts")
  expect(await askFrom("127.0.0.1", port)).toBe("")
  expect(await askFrom("127.0.0.2", port)).toBe("DE  ")
  await gateway.until(() => gateway.events.length === 2)
  const failed = gateway.events.find(({ close }) => close.reason === "policy-failed")
  expect(failed?.policy?.reason).toContain("city.mmdb: the look-up of 127.0.0.1 failed: ")
}, 120_000)

describe.concurrent("without a database", () => {
  test("a gateway does not start with a policy that asks", async () => {
    await using gateway = start({ "a.ts": POLICY })
    expect(await gateway.exited).toBe(2)
    expect(gateway.log[0]!.message).toContain(`a.ts:1:16 ${NEEDS}`)
  })

  test("a running one keeps the last good version", async () => {
    await using gateway = await serve({
      "a.ts":
        'import { respond } from "tidegate"\nexport const listen = "tcp://127.0.0.1:0"\nexport const on_tcp_connect = () => respond("old")\n',
    })
    const port = await gateway.port("a.ts")
    gateway.write("a.ts", POLICY)
    await gateway.until(() => gateway.log.some(({ message }) => message.includes(NEEDS)))
    expect(await askFrom("127.0.0.1", port)).toBe("old")
  })

  test("check and explain say so", async () => {
    await using policies = await folder({ "a.ts": POLICY })
    for (const args of [
      ["check", policies.path],
      ["explain", policies.path, "--to", "tcp://127.0.0.1:9000", "--from", "127.0.0.1"],
    ]) {
      const { code, stderr } = await tidegate(args)
      expect(code).toBe(2)
      expect(stderr).toContain(`a.ts:1:16 ${NEEDS}`)
    }
  })
})

const FIXED = POLICY.replace("127.0.0.1:0", "127.0.0.1:9000")
const TEST = `import assert from "node:assert/strict"
import { test } from "node:test"
import { bodyText, connect } from "tidegate/testing"
import * as policy from "./a.ts"

test("knows the databases, and the facts first", async () => {
  const at = async (facts) => bodyText((await connect(policy, facts)).decision)
  assert.equal(await at({ from: "127.0.0.5" }), EXPECTED)
  assert.equal(await at({ from: "127.0.0.5", geo: { country: "JP" } }), "JP  ")
})
`

describe.concurrent("with one, given as often as there are some,", () => {
  test("check is content", async () => {
    await using dir = await databases({
      "city.mmdb": mmdb(CITY),
      "other.mmdb": mmdb({ ...CITY, type: "GeoIP2-Domain" }),
    })
    await using policies = await folder({ "a.ts": FIXED })
    const { code, stderr, stdout } = await tidegate(["check", policies.path, "--geoip", dir.path])
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining("warning: ") })
    expect(stderr).toContain('other.mmdb: geo() tells nothing of what "GeoIP2-Domain" has')
    expect(stdout).toContain("1 policy on 1 listener")
  })

  test("explain tells what the policy is told", async () => {
    await using dir = await databases({ "city.mmdb": mmdb(CITY), "asn.mmdb": mmdb(ASN) })
    await using policies = await folder({ "a.ts": FIXED })
    const geoip = ["city.mmdb", "asn.mmdb"].flatMap((name) => ["--geoip", join(dir.path, name)])
    const { code, stdout } = await tidegate([
      "explain",
      policies.path,
      "--to",
      "tcp://127.0.0.1:9000",
      "--from",
      "127.0.0.5",
      ...geoip,
    ])
    expect(code).toBe(0)
    expect(stdout).toContain("FR  3320")
  })

  test("test knows them too, and does without", async () => {
    await using dir = await databases({ "city.mmdb": mmdb(CITY) })
    for (const [expected, ...args] of [["FR  ", "--geoip", dir.path], ["  "]]) {
      await using policies = await folder({
        "a.ts": FIXED,
        "a.test.ts": TEST.replace("EXPECTED", JSON.stringify(expected)),
      })
      const { code, stderr } = await tidegate(["test", policies.path, ...args])
      expect(stderr).toContain("1 pass")
      expect(code).toBe(0)
    }
  })
})

test.concurrent("what is no database is refused by every command", async () => {
  await using dir = await folder({ "city.mmdb": "no database" })
  await using policies = await folder({ "a.ts": FIXED, "a.test.ts": TEST.replace("EXPECTED", '"FR  "') })
  const path = join(dir.path, "city.mmdb")
  const problem = "city.mmdb"
  const why = "it is no MaxMind database (*.mmdb), or only a part of one"
  for (const args of [
    ["check"],
    ["explain", "--to", "tcp://127.0.0.1:9000", "--from", "127.0.0.1"],
    ["serve"],
    ["test"],
  ]) {
    const [command, ...rest] = args
    const { code, stderr } = await tidegate([command!, policies.path, ...rest, "--geoip", path])
    expect([command, stderr]).toEqual([command, expect.stringContaining(problem)])
    expect(stderr).toContain(why)
    expect(code).not.toBe(0)
  }
})
