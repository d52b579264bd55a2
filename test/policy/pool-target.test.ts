// Targets of pools: those of routes, and names that follow the DNS.
import { expect, test } from "bun:test"
import { parsePoolTarget } from "../../src/policy/pool-target.ts"
import { parseTarget, TargetInvalid } from "../../src/policy/target.ts"
import { random } from "../helper/random.ts"

test("targets of routes are targets of pools", () => {
  for (const url of ["tcp://A.example:5432", "tls://[::1]:443", "unix:/run//x.sock"]) {
    const target = parseTarget(url)
    expect(parsePoolTarget(url, false)).toEqual({ url: target.url, source: { kind: "target", target } })
  }
})

test("names that follow the DNS are in lower case, and may be encrypted", () => {
  expect(parsePoolTarget("DNS://Db.Internal.:5432", false)).toEqual({
    url: "dns://db.internal.:5432",
    source: { kind: "dns", host: "db.internal.", port: 5432, tls: false },
  })
  expect(parsePoolTarget("srv://_PostgreSQL._TCP.db.internal", true)).toEqual({
    url: "srv://_postgresql._tcp.db.internal",
    source: { kind: "srv", service: "_postgresql._tcp.db.internal", tls: true },
  })
})

test.each([
  ["dns://", "a target needs a port, like dns://db.internal:5432"],
  ["dns://db", "a target needs a port, like dns://db:5432"],
  ["dns://:53", '"" is not a host name'],
  ["dns://db:0", '"0" is not a port: expected 1 to 65535'],
  ["dns://db:65536", '"65536" is not a port: expected 1 to 65535'],
  ["dns://a b:1", "expected dns://name:port"],
  ["dns://db:1/x", "expected dns://name:port"],
  ["dns://10.0.0.1:1", "an address does not follow the DNS; write tcp://10.0.0.1:1"],
  ["dns://[::1]:1", "an address does not follow the DNS; write tcp://[::1]:1"],
  ["dns://127.1:1", '"127.1" is not a host name'],
  ["srv://", "expected srv://_service._proto.name, like srv://_postgresql._tcp.db.internal"],
  ["srv://_a._tcp", "expected srv://_service._proto.name, like srv://_postgresql._tcp.db.internal"],
  ["srv://a._tcp.b", "expected srv://_service._proto.name, like srv://_postgresql._tcp.db.internal"],
  ["srv://_a._tcp.b/", "expected srv://_service._proto.name, like srv://_postgresql._tcp.db.internal"],
  ["srv://_a._tcp.b:5432", "SRV records have the port: leave it out"],
])("%s is refused", (url, why) => {
  expect(() => parsePoolTarget(url, false)).toThrow(new TargetInvalid(`target ${JSON.stringify(url)}: ${why}`))
})

test("tls is for names that follow the DNS", () => {
  expect(() => parsePoolTarget("tcp://a:1", true)).toThrow("tls is for dns:// and srv://; write tls://a:1")
  expect(() => parsePoolTarget("tls://a:1", true)).toThrow(/tls is for dns:\/\/ and srv:\/\/$/)
})

test("nothing but TargetInvalid is thrown, and what is taken is taken again as it is shown", () => {
  const { text } = random(3)
  const pieces = [
    "dns://",
    "srv://",
    "tcp://",
    "tls://",
    "unix:",
    "_a.",
    "._tcp",
    "a",
    ".",
    ":",
    "5",
    "[",
    "]",
    "/",
    "-",
    " ",
  ]
  for (let i = 0; i < 20_000; i++) {
    const url = text(pieces, 8)
    try {
      const parsed = parsePoolTarget(url, false)
      expect(parsePoolTarget(parsed.url, false)).toEqual(parsed)
    } catch (error) {
      expect(error).toBeInstanceOf(TargetInvalid)
    }
  }
})
