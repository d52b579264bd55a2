import { describe, expect, test } from "bun:test"
import { identity, ListenInvalid, parseListen, WIDEST_RANGE } from "../../src/policy/listen.ts"
import { NO_SETTINGS } from "../../src/policy/listener-options.ts"
import { random } from "../helper/random.ts"

const tcp = { scheme: "tcp", pattern: undefined, ...NO_SETTINGS } as const
const urls = (value: unknown) => parseListen(value).map(({ url }) => url)

describe("listen", () => {
  test.each([
    ["tcp://127.0.0.1:9000", ["tcp://127.0.0.1:9000"]],
    ["tcp://[::1]:9000", ["tcp://[::1]:9000"]],
    ["tcp://[0:0::1]:9000", ["tcp://[::1]:9000"]],
    ["tcp://:9000", ["tcp://:9000"]],
    ["tcp://0.0.0.0:9000", ["tcp://0.0.0.0:9000"]],
    ["tcp://[::]:9000", ["tcp://[::]:9000"]],
    ["tcp://localhost:9000", ["tcp://127.0.0.1:9000", "tcp://[::1]:9000"]],
    ["TCP://LocalHost:9000", ["tcp://127.0.0.1:9000", "tcp://[::1]:9000"]],
    ["tcp://:9000-9002", ["tcp://:9000", "tcp://:9001", "tcp://:9002"]],
    ["tcp://:9000-9000", ["tcp://:9000"]],
    ["tcp://127.0.0.1:0", ["tcp://127.0.0.1:0"]],
    ["unix:/run/x.sock", ["unix:/run/x.sock"]],
    ["unix:///run/x.sock", ["unix:/run/x.sock"]],
    [{ url: "tcp://:1", maxConnections: 10 }, ["tcp://:1"]],
    [
      ["tcp://:1", { url: "tcp://:2" }],
      ["tcp://:1", "tcp://:2"],
    ],
    [
      ["tcp://:0", "tcp://:0"],
      ["tcp://:0", "tcp://:0"],
    ],
    ["tls://:443", ["tls://:443"]],
    ["tls://db.example.com:443", ["tls://db.example.com:443"]],
    ["TLS://DB.Example.Com.:443", ["tls://db.example.com:443"]],
    ["tls://*.Example.com:443", ["tls://*.example.com:443"]],
    ["tls://localhost:443", ["tls://localhost:443"]],
    ["tls://foo_bar.example.com:443", ["tls://foo_bar.example.com:443"]],
    ["tls://10.0.0.5:443", ["tls://10.0.0.5:443"]],
    ["tls://[0::1]:443", ["tls://[::1]:443"]],
    ["tls://a.example:443-444", ["tls://a.example:443", "tls://a.example:444"]],
    ["postgres://shop.example.com:5432", ["postgres://shop.example.com:5432"]],
    ["postgres://:5432", ["postgres://:5432"]],
    [{ url: "tls://a.example:443", address: "10.0.0.5" }, ["tls://a.example:443"]],
    [{ url: "tls://:443", address: "10.0.0.5" }, ["tls://10.0.0.5:443"]],
    [{ url: "tcp://:443", address: "localhost" }, ["tcp://127.0.0.1:443", "tcp://[::1]:443"]],
    [
      ["tls://:443", "tls://a.example:443", "tls://*.a.example:443"],
      ["tls://:443", "tls://a.example:443", "tls://*.a.example:443"],
    ],
  ])("%j opens %j", (value, expected) => {
    expect(urls(value)).toEqual(expected)
  })

  test("the bind has the address that is bound, and options belong to every listener of the entry", () => {
    expect(parseListen({ url: "tcp://:9000-9001", maxConnections: 5 })).toEqual([
      { ...tcp, url: "tcp://:9000", bind: { kind: "tcp", address: "*", port: 9000 }, maxConnections: 5 },
      { ...tcp, url: "tcp://:9001", bind: { kind: "tcp", address: "*", port: 9001 }, maxConnections: 5 },
    ])
    expect(parseListen("unix:/run/x.sock")).toEqual([
      { ...tcp, url: "unix:/run/x.sock", bind: { kind: "unix", path: "/run/x.sock" } },
    ])
  })

  test("limits are read with their defaults, and by server name where there is one", () => {
    const [entry] = parseListen({
      url: "tls://a.example:443",
      rateLimit: { limit: 20, per: "1 minute", key: "sni" },
      concurrencyLimit: { max: 5, key: { ipv4: 24 } },
      bandwidth: { up: "1 MiB/s", key: "client" },
    })
    expect(entry).toMatchObject({
      rateLimit: { limit: 20, per: 60_000, burst: 20, key: "sni" },
      concurrencyLimit: { max: 5, key: { ipv4: 24, ipv6: 64 } },
      bandwidth: { up: 1_048_576, down: undefined, key: { ipv4: 32, ipv6: 64 } },
    })
  })

  test("senders of PROXY headers are kept in one order, so that equal lists are equal", () => {
    const [entry] = parseListen({ url: "tcp://:1", proxyProtocol: { from: ["::1", "10.0.0.0/8", "::1"] } })
    expect(entry?.proxyProtocol).toEqual({ from: ["10.0.0.0/8", "::1"], mode: "required" })
    const unix = parseListen({ url: "unix:/run/x", proxyProtocol: { from: ["unix"], mode: "optional" } })
    expect(unix[0]?.proxyProtocol).toEqual({ from: ["unix"], mode: "optional" })
  })

  test.each([
    ["tls://*.a.example:443", "*", "*.a.example"],
    ["tls://:443", "*", undefined],
    ["tls://10.0.0.5:443", "10.0.0.5", undefined],
    ["tls://[::1]:443", "::1", undefined],
    [{ url: "tls://a.example:443", address: "::1" }, "::1", "a.example"],
    [{ url: "tls://:443", address: "10.0.0.5" }, "10.0.0.5", undefined],
  ])("%j binds %s and serves the name %p", (value, address, pattern) => {
    const [entry] = parseListen(value)
    expect(entry).toMatchObject({ scheme: "tls", pattern, bind: { kind: "tcp", address, port: 443 } })
  })

  test("a range has at most 1,000 ports", () => {
    expect(parseListen("tcp://:1000-1999")).toHaveLength(WIDEST_RANGE)
    expect(() => parseListen("tcp://:1000-2000")).toThrow("1001 ports")
  })

  test.each([
    [":9000", 'did you mean "tcp://:9000"?'],
    ["127.0.0.1:9000", 'did you mean "tcp://127.0.0.1:9000"?'],
    ["udp://:53", 'did you mean "tcp://:53"?'],
    ["https://a.example:443", 'did you mean "tls://a.example:443"?'],
    ["postgresql://:5432", 'did you mean "postgres://:5432"?'],
    ["tls://", "expected a port"],
    ["tls://a.example", "expected a port"],
    ["tls://*:443", "leave the name out to match every one"],
    ["tls://a.*.example:443", 'a "*" stands for whole labels at the start'],
    ["tls://*a.example:443", 'a "*" stands for whole labels at the start'],
    ["tls://*.*.example:443", 'a "*" stands for whole labels at the start'],
    ["tls://*.:443", "leave the name out to match every one"],
    ["tls://bücher.example:443", "in their ASCII form (xn--...)"],
    ["tls://127.1:443", "neither a server name nor an address"],
    ["tls://[a.example]:443", "address of this machine"],
    ["tls://a..example:443", "neither a server name nor an address"],
    [{ url: "tls://10.0.0.5:443", address: "10.0.0.5" }, "the URL names an address already"],
    [{ url: "tcp://127.0.0.1:443", address: "10.0.0.5" }, "the URL names an address already"],
    [{ url: "unix:/run/x", address: "10.0.0.5" }, "a socket path has no address"],
    [{ url: "tls://a.example:443", address: "a.example" }, "address of this machine"],
    [{ url: "tls://a.example:443", address: "10.0.0.256" }, "not an address"],
    [{ url: "tls://a.example:443", address: 5 }, "address: expected an address"],
    [{ url: "tls://a.example:443", adress: "::1" }, 'did you mean "address"?'],
    [["tls://a.example:443", "tls://A.Example.:443"], "twice"],
    [["tls://a.example:443", "tcp://:443"], "a listener has one scheme"],
    [["tls://a.example:443", "postgres://b.example:443"], "a listener has one scheme"],
    ["tcp://", "expected a port"],
    ["tcp://127.0.0.1", "expected a port"],
    ["tcp://:65536", "not a port"],
    ["tcp://:http", "not a port"],
    ["tcp://:9000-", "not a port"],
    ["tcp://:-9000", "not a port"],
    ["tcp://:1-2-3", "not a port"],
    ["tcp://:9010-9000", "not a range"],
    ["tcp://:0-5", "not a range"],
    ["tcp://db.internal:5432", "address of this machine"],
    ["tcp://127.1:9000", "not an address"],
    ["tcp://010.0.0.1:9000", "not an address"],
    ["tcp://[127.0.0.1]:9000", "not an address"],
    ["tcp://[]:9000", "not an address"],
    ["tcp://::1:9000", "expected a port"],
    ["tcp://*:9000", "not an address"],
    ["unix:run/x.sock", "absolute path"],
    ["unix:/run/", "absolute path"],
    [`unix:/${"x".repeat(107)}`, "107 bytes"],
    ["", "expected tcp://"],
    [undefined, "expected a URL"],
    [null, "expected a URL"],
    [5432, "expected a URL"],
    [[], "empty list"],
    [[["tcp://:1"]], "expected a URL"],
    [{}, "url: expected a URL"],
    [{ url: 5 }, "url: expected a URL"],
    [{ url: "tcp://:1", maxConection: 1 }, 'did you mean "maxConnections"?'],
    [{ url: "tcp://:1", ratelimit: { limit: 1, per: "1s" } }, 'did you mean "rateLimit"?'],
    [{ url: "tcp://:1", rateLimit: { limit: 0, per: "1s" } }, "rateLimit: limit: expected a whole number"],
    [{ url: "tcp://:1", rateLimit: { limit: 1, per: "soon" } }, "rateLimit: per"],
    [{ url: "tcp://:1", rateLimit: { limit: 1, per: "1s", key: () => "a" } }, "rateLimit: key: a function"],
    [
      { url: "tcp://:1", rateLimit: { limit: 1, per: "1s", key: "sni" } },
      '"sni" needs a tls:// or postgres:// listener',
    ],
    [{ url: "unix:/run/x", concurrencyLimit: { max: 1, key: "sni" } }, '"sni" needs a tls:// or postgres:// listener'],
    [{ url: "tcp://:1", concurrencyLimit: { maximum: 1 } }, "concurrencyLimit: there is no option"],
    [{ url: "tcp://:1", bandwidth: {} }, "bandwidth: expected up, down or both"],
    [{ url: "tcp://:1", bandwidth: { up: "10 Mbit/s" } }, "bandwidth: up"],
    [{ url: "tcp://:1", proxyprotocol: {} }, 'did you mean "proxyProtocol"?'],
    [
      { url: "tcp://:1", proxyProtocol: true },
      'proxyProtocol: expected whom to believe, like { from: ["10.0.0.0/8"] }',
    ],
    [{ url: "tcp://:1", proxyProtocol: 2 }, "expected whom to believe"],
    [{ url: "tcp://:1", proxyProtocol: null }, "expected whom to believe"],
    [{ url: "tcp://:1", proxyProtocol: ["10.0.0.0/8"] }, "expected whom to believe"],
    [{ url: "tcp://:1", proxyProtocol: {} }, "from: expected the addresses of your load balancers"],
    [{ url: "tcp://:1", proxyProtocol: { from: [] } }, "found an empty list"],
    [{ url: "tcp://:1", proxyProtocol: { from: "10.0.0.0/8" } }, "from: expected the addresses"],
    [{ url: "tcp://:1", proxyProtocol: { form: ["10.0.0.0/8"] } }, 'did you mean "from"?'],
    [{ url: "tcp://:1", proxyProtocol: { from: ["10.0.0/8"] } }, 'proxyProtocol: from: "10.0.0/8" is not a CIDR'],
    [{ url: "tcp://:1", proxyProtocol: { from: ["10.0.0.0/33"] } }, "0 to 32"],
    [{ url: "tcp://:1", proxyProtocol: { from: [7] } }, "7 is not a CIDR"],
    [{ url: "tcp://:1", proxyProtocol: { from: ["unix"] } }, '"unix" is for unix: listeners'],
    [{ url: "tcp://:1", proxyProtocol: { from: ["::1"], mode: "option" } }, 'did you mean "optional"?'],
    [{ url: "tcp://:1", proxyProtocol: { from: ["::1"], mode: true } }, 'mode: expected "required" or "optional"'],
    [{ url: "unix:/run/x", proxyProtocol: { from: ["10.0.0.0/8"] } }, 'expected ["unix"]'],
    [{ url: "unix:/run/x", proxyProtocol: { from: ["unix", "::1"] } }, 'expected ["unix"]'],
    [{ url: "tcp://:1", proxyProtocol: { from: Array.from({ length: 10_001 }, () => "::1") } }, "at most 10000"],
    [{ url: "tcp://:1", maxConnections: 0 }, "from 1 to 1,000,000"],
    [{ url: "tcp://:1", maxConnections: 1.5 }, "from 1 to 1,000,000"],
    [{ url: "tcp://:1", maxConnections: "5" }, "from 1 to 1,000,000"],
    [["tcp://:1", "tcp://:1"], "twice"],
    [["tcp://:1-5", "tcp://:3"], "twice"],
    [["tcp://[::1]:1", "tcp://localhost:1"], "twice"],
  ])("%j is refused: %s", (value, why) => {
    expect(() => parseListen(value)).toThrow(ListenInvalid)
    expect(() => parseListen(value)).toThrow(why)
  })

  test("arbitrary values are listeners or ListenInvalid, and a listener is read back from its URL", () => {
    const { text, below } = random(9)
    const pieces = [
      "tcp://",
      "unix:",
      "tls://",
      "postgres://",
      "*.",
      "a.example",
      "localhost",
      "127.0.0.1",
      "[::1]",
      ":",
      "9000",
      "-",
      "/",
      "0",
      "*",
      "[",
      "]",
      "x",
    ]
    let good = 0
    for (let i = 0; i < 30_000; i++) {
      const one = text(pieces, 5)
      const value = below(3) === 0 ? [one, { url: text(pieces, 5) }] : one
      try {
        for (const entry of parseListen(value)) {
          expect(parseListen(entry.url)).toEqual([entry])
          good++
        }
      } catch (error) {
        expect(error).toBeInstanceOf(ListenInvalid)
      }
    }
    expect(good).toBeGreaterThan(20)
  })
})

test.each([
  ["tcp://:9000", "tcp:*:9000"],
  ["tcp://[::1]:9000", "tcp:[::1]:9000"],
  ["tcp://:0", "tcp:*:0#a.ts"],
  ["unix:/run/x", "unix:/run/x"],
])("the identity of %s is %s: port 0 belongs to its file alone", (url, expected) => {
  expect(identity(parseListen(url)[0]!.bind, "a.ts")).toBe(expected)
})
