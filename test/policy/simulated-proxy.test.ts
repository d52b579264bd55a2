// Connections that a load balancer passes on, simulated.
import { describe, expect, test } from "bun:test"
import { deny, respond } from "../../src/policy/decision.ts"
import type { Connection } from "../../src/policy/connection.ts"
import { FactsInvalid, simulate, type Facts } from "../../src/policy/simulated.ts"
import { bodyText, connect } from "../../src/testing.ts"

const made = (facts: Omit<Facts, "to"> & { to?: string }) =>
  simulate({ to: "tcp://10.0.0.1:5432", ...facts }).connection

describe("a connection that a load balancer passes on", () => {
  test("has its client, and the load balancer as via", () => {
    const { client, proxy, server, via } = made({ from: "203.0.113.9:4711", via: "10.0.0.5:1234" })
    expect([client.address, client.port, client.within("203.0.113.0/24")]).toEqual(["203.0.113.9", 4711, true])
    expect([server, via]).toEqual([
      { address: "10.0.0.1", port: 5432 },
      { address: "10.0.0.5", port: 1234 },
    ])
    expect(proxy).toEqual({
      version: 2,
      command: "proxy",
      alpn: undefined,
      authority: undefined,
      uniqueId: undefined,
      ssl: undefined,
      netns: undefined,
      paths: undefined,
      tlvs: [],
    })
  })

  test("is nothing of the kind without", () => {
    const { proxy, via } = made({ from: "203.0.113.9" })
    expect([proxy, via]).toEqual([undefined, undefined])
  })

  test("has a header that says what the facts say", () => {
    const value = Uint8Array.of(1)
    const { proxy } = made({
      from: "203.0.113.9",
      via: "[2001:db8::1]:7",
      proxy: {
        version: 1,
        alpn: "h2",
        authority: "a.example",
        uniqueId: "id",
        netns: "blue",
        ssl: { commonName: "amy" },
        tlvs: [{ type: 0xea, value }],
      },
    })
    expect(proxy).toMatchObject({ version: 1, alpn: "h2", authority: "a.example", uniqueId: "id", netns: "blue" })
    expect(proxy?.ssl).toMatchObject({ client: 7, verify: 0, verified: true, version: "TLSv1.3", commonName: "amy" })
    expect(proxy?.tlvs).toEqual([{ type: 0xea, value }])
  })

  test("is the load balancer's own where the header is local", () => {
    const { client, via } = made({ via: "10.0.0.5", proxy: { command: "local" } })
    expect([client.address, via?.address]).toEqual(["10.0.0.5", "10.0.0.5"])
  })

  test("may come over a unix socket", () => {
    const { client, server, via } = made({ to: "unix:/run/x", from: "203.0.113.9", via: "unix" })
    expect([client.address, server.address, via]).toEqual([
      "203.0.113.9",
      undefined,
      { address: undefined, port: undefined },
    ])
    const own = made({ to: "unix:/run/x", via: "unix", proxy: { command: "local" } })
    expect([own.client.address, own.client.family]).toEqual([undefined, "unix"])
  })

  test.each([
    [{ from: "203.0.113.9", via: "lb" }, 'via: "lb": expected the load balancer\'s address'],
    [{ from: "203.0.113.9", via: "10.0.0.5:0" }, "via:"],
    [{ from: "203.0.113.9", via: "unix" }, 'via: "unix": expected'],
    [{ from: "203.0.113.9", proxy: {} }, "proxy: expected via too"],
    [{ via: "10.0.0.5" }, "from: expected the client's address"],
    [{ from: "203.0.113.9", via: "10.0.0.5", proxy: { authorty: "x" } }, 'did you mean "authority"?'],
    [{ from: "203.0.113.9", via: "10.0.0.5", proxy: { version: 3 } }, "proxy: version: expected 1 or 2"],
    [{ from: "203.0.113.9", via: "10.0.0.5", proxy: { command: "PROXY" } }, 'expected "proxy" or "local"'],
    [{ from: "203.0.113.9", via: "10.0.0.5", proxy: { ssl: { cn: "x" } } }, 'there is no fact "cn"'],
    [{ to: "unix:/run/x", from: "203.0.113.9", via: "10.0.0.5" }, 'via: expected "unix"'],
  ])("%j makes no connection: %s", (facts, why) => {
    expect(() => made(facts as Facts)).toThrow(FactsInvalid)
    expect(() => made(facts as Facts)).toThrow(why)
  })
})

const policy = ({ proxy, via }: Connection) =>
  via?.address === "10.0.0.5" && proxy?.ssl?.verified === true ? respond(`${proxy.ssl.commonName}`) : deny()

test("a policy that looks at the load balancer is tested as any other", async () => {
  const facts = { from: "203.0.113.9", to: "tcp://:5432" }
  const { decision } = await connect(policy, { ...facts, via: "10.0.0.5", proxy: { ssl: { commonName: "amy" } } })
  expect(await bodyText(decision)).toBe("amy")
  expect((await connect(policy, facts)).decision.action).toBe("deny")
})
