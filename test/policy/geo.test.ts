import { describe, expect, test } from "bun:test"
import { deny, geo, GeoUnavailable, next, route, type Connection, type Geo } from "../../src/index.ts"
import { connect, FactsInvalid } from "../../src/testing.ts"
import { simulate } from "../../src/policy/simulated.ts"

const listen = "tcp://:5432"
/** As a policy of somebody would use it. */
const policy = {
  listen,
  on_tcp_connect: (connection: Connection) =>
    geo(connection).country === "DE" ? route("tcp://db:5432") : deny("abroad"),
}

/** What geo tells of a connection with these facts. */
async function told(facts: Parameters<typeof connect>[1]): Promise<Geo> {
  let found: Geo | undefined
  const asks = (connection: Connection) => {
    found = geo(connection)
    return next
  }
  await connect({ listen, on_tcp_connect: asks }, facts)
  return found!
}

const decided = async (country: string) => (await connect(policy, { from: "203.0.113.9", geo: { country } })).decision

const NOTHING = { country: undefined, continent: undefined, city: undefined, asn: undefined, organisation: undefined }

describe("in a test", () => {
  test("the fact says what geo tells", async () => {
    expect(await decided("DE")).toEqual(route("tcp://db:5432"))
    expect(await decided("FR")).toEqual(deny("abroad"))
    const all = { country: "DE", continent: "EU", city: "Munich", asn: 3320, organisation: "Deutsche Telekom AG" }
    expect(await told({ from: "203.0.113.9", geo: all })).toEqual(all)
    expect(await told({ from: "203.0.113.9", geo: { asn: 3320 } })).toEqual({ ...NOTHING, asn: 3320 })
  })

  test("without it nothing is known, of a unix client neither", async () => {
    expect(await told({ from: "203.0.113.9" })).toEqual(NOTHING)
    expect(await told({ to: "unix:/run/x.sock" })).toEqual(NOTHING)
    expect((await connect(policy, { from: "203.0.113.9" })).decision).toEqual(deny("abroad"))
  })

  test.each([
    [{ land: "DE" }, 'geo: there is no fact "land"'],
    [{ asn: "3320" }, 'geo: asn: expected a number, found "3320"'],
    [{ country: 49 }, "geo: country: expected a string, found 49"],
    ["DE", 'geo: expected an object, found "DE"'],
  ])("%j is no such fact", (value, problem) => {
    expect(() => simulate({ from: "203.0.113.9", to: listen, geo: value as never })).toThrow(FactsInvalid)
    expect(() => simulate({ from: "203.0.113.9", to: listen, geo: value as never })).toThrow(problem)
  })
})

test.each([undefined, null, "203.0.113.9", {}, { client: { address: "203.0.113.9" } }])(
  "%p is no connection",
  (value) => {
    expect(() => geo(value as never)).toThrow(GeoUnavailable)
    expect(() => geo(value as never)).toThrow("geo: expected the connection that on_tcp_connect is given, found ")
  },
)
