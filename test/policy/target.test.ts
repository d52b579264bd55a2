import { describe, expect, test } from "bun:test"
import { isHostName, parsePort, parseTarget, splitHostPort, TargetInvalid } from "../../src/policy/target.ts"
import { random } from "../helper/random.ts"

describe("targets", () => {
  test.each([
    ["tcp://db:5432", "tcp://db:5432"],
    ["TCP://DB.Internal:5432", "tcp://db.internal:5432"],
    ["tcp://10.0.0.1:1", "tcp://10.0.0.1:1"],
    ["tcp://[2001:DB8:0:0::1]:65535", "tcp://[2001:db8::1]:65535"],
    ["tcp://[::ffff:10.0.0.1]:80", "tcp://10.0.0.1:80"],
    ["tls://db:5432", "tls://db:5432"],
    ["tcp://_pg._tcp.example.com:5432", "tcp://_pg._tcp.example.com:5432"],
    ["tcp://db.example.com.:5432", "tcp://db.example.com.:5432"],
    ["unix:/run/db.sock", "unix:/run/db.sock"],
    ["unix:///run/db.sock", "unix:/run/db.sock"],
  ])("%s is %s", (url, expected) => {
    expect(parseTarget(url).url).toBe(expected)
    expect(parseTarget(expected).url).toBe(expected)
  })

  test("a literal has its address, a name has none", () => {
    expect(parseTarget("tcp://10.0.0.1:80")).toMatchObject({
      kind: "tcp",
      host: "10.0.0.1",
      port: 80,
      ip: { a: 0x0a000001 },
    })
    expect(parseTarget("tcp://db:80")).toMatchObject({ kind: "tcp", host: "db", port: 80, ip: undefined })
    expect(parseTarget("unix:/run/x")).toEqual({ kind: "unix", url: "unix:/run/x", path: "/run/x" })
  })

  test.each([
    ["db:5432", 'did you mean "tcp://db:5432"?'],
    ["postgres://db:5432", 'did you mean "tcp://db:5432"?'],
    ["tcp://db", "needs a port, like tcp://db:5432"],
    ["tcp://", "needs a port"],
    ["tcp://:5432", "not a host name"],
    ["tcp://db:0", "not a port"],
    ["tcp://db:65536", "not a port"],
    ["tcp://db:0x50", "not a port"],
    ["tcp://db:05432", "not a port"],
    ["tcp://db:5432/", "expected tcp://host:port"],
    ["tcp://user@db:5432", "expected tcp://host:port"],
    ["tcp://2001:db8::1:80", "expected tcp://host:port"],
    ["tcp://[db]:80", "not an IPv6 address"],
    ["tcp://[10.0.0.1]:80", "not an IPv6 address"],
    ["tcp://[fe80::1%eth0]:80", "not an IPv6 address"],
    ["tcp://127.1:80", "four decimal numbers"],
    ["tcp://010.0.0.1:80", "four decimal numbers"],
    ["tcp://2130706433:80", "four decimal numbers"],
    ["tcp://0x7f000001:80", "four decimal numbers"],
    ["tcp://10.0.0.256:80", "four decimal numbers"],
    ["tcp://-db:80", "not a host name"],
    ["tcp://d b:80", "expected tcp://host:port"],
    ["tcp://dürüm:80", "not a host name"],
    ["unix:", "absolute path"],
    ["unix:run/db.sock", "absolute path"],
    ["unix:/a\0b", "zero byte"],
    [`unix:/${"x".repeat(107)}`, "107 bytes"],
    ["", "expected tcp://host:port"],
  ])("%p is refused: %s", (url, why) => {
    expect(() => parseTarget(url)).toThrow(TargetInvalid)
    expect(() => parseTarget(url)).toThrow(why)
  })

  test("the same text gives the same value, also past what is kept", () => {
    expect(parseTarget("tcp://same:1")).toBe(parseTarget("tcp://same:1"))
    for (let i = 0; i < 12_000; i++) expect(parseTarget(`tcp://host-${i}:1`).url).toBe(`tcp://host-${i}:1`)
  })

  test("arbitrary text is a target or TargetInvalid, and a target is read back from its URL", () => {
    const { text } = random(8)
    const pieces = [
      "tcp://",
      "unix:",
      "tls://",
      "db",
      "10.0.0.1",
      "[::1]",
      ":",
      "80",
      "/",
      "[",
      "]",
      ".",
      "@",
      "0",
      " ",
      "-",
    ]
    let good = 0
    for (let i = 0; i < 50_000; i++) {
      const input = text(pieces, 5)
      try {
        const target = parseTarget(input)
        expect(parseTarget(target.url)).toEqual(target)
        good++
      } catch (error) {
        expect(error).toBeInstanceOf(TargetInvalid)
      }
    }
    expect(good).toBeGreaterThan(50)
  })
})

test.each([
  ["db:5432", { host: "db", port: "5432", bracketed: false }],
  ["db", { host: "db", port: "", bracketed: false }],
  [":5432", { host: "", port: "5432", bracketed: false }],
  ["[::1]:80", { host: "::1", port: "80", bracketed: true }],
  ["[::1]", { host: "::1", port: "", bracketed: true }],
  ["::1", undefined],
  ["a/b:1", undefined],
  ["[::1]80", undefined],
])("%s is split", (text, expected) => {
  expect(splitHostPort(text)).toEqual(expected)
})

test.each([
  ["0", 0],
  ["65535", 65535],
  ["65536", undefined],
  ["", undefined],
  ["+1", undefined],
  ["1.0", undefined],
  ["1e3", undefined],
  ["00", undefined],
  ["٣", undefined],
])("port %p is %p", (text, expected) => {
  expect(parsePort(text)).toBe(expected)
})

test.each([
  ["db", true],
  ["db.", true],
  ["a-b.c_d.example", true],
  ["1password.example", true],
  ["x".repeat(63), true],
  ["x".repeat(64), false],
  [`${"a.".repeat(126)}a`, true],
  [`${"a.".repeat(127)}a`, false],
  ["", false],
  [".", false],
  ["a..b", false],
  ["-a", false],
  ["a-", false],
  ["127.1", false],
  ["0x7f", false],
  ["0x", false],
  ["a.0x1f", false],
  ["münchen", false],
])("host name %p: %p", (text, expected) => {
  expect(isHostName(text)).toBe(expected)
})
