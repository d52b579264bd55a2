// What expressions and templates give, and what is said of those that are wrong.
import { describe, expect, test } from "bun:test"
import {
  compileDeep,
  compileExpression,
  compileTemplate,
  EvaluationFailed,
  fromPlain,
  plain,
  textOf,
  type FactSource,
  type Json,
} from "../../../../src/config/traffic-policy/cel/index.ts"
import { GeoUnavailable } from "../../../../src/policy/geo.ts"
import type { GeoPlace } from "../../../../src/limit/geo-place.ts"
import { placeIn } from "../../../../src/limit/geo-place.ts"
import { madeFacts } from "./made-facts.ts"

const MUNICH: GeoPlace = {
  ...placeIn({
    city: { names: { en: "Munich" } },
    continent: { names: { en: "Europe" } },
    country: { iso_code: "DE", is_in_european_union: true, names: { en: "Germany" } },
    location: { accuracy_radius: 10, latitude: 48.1, longitude: 11.5, time_zone: "Europe/Berlin" },
    registered_country: { iso_code: "FR", names: { en: "France" } },
  }),
  asn: 3320,
  organisation: "Deutsche Telekom AG",
}

const SOURCE: Partial<FactSource> = {
  categories: ({ a }) => (a === 0xcb007107 ? ["blocklist.firehol.level1", "com.cloudflare.ipv4"] : []),
  place: () => MUNICH,
  region: "eu",
  secret: (vault, name) => (vault === "vault" && name === "password" ? "s3cret" : undefined),
}

function facts() {
  const made = madeFacts(SOURCE)
  made.setVar("tier", "gold")
  made.setVar("limits", fromPlain({ eu: 5, us: [1, 2.5] }))
  made.setResult("restrict_ips", { action: "deny", error: { code: "", message: undefined } })
  return made
}

/** What an expression gives, as JSON; or why it fails. */
function given(expression: string, from = facts()): unknown {
  const { problems, program } = compileTemplate(`\${${expression}}`)
  if (program === undefined) return problems.map(({ message }) => message)
  const value = program.evaluate(from)
  return value instanceof EvaluationFailed ? `${value.code}: ${value.message}` : plain(value)
}

/** What is wrong with an expression: the part that is pointed at, what is said, and the hint. */
function wrong(expression: string): readonly (string | undefined)[] {
  const { problems, program } = compileExpression(expression)
  expect(program).toBeUndefined()
  const { hint, length = 0, message, offset = 0 } = problems[0] ?? {}
  return [expression.slice(offset, offset + length), message, hint]
}

describe("variables", () => {
  test.each<[string, Json]>([
    ["conn.client_ip", "203.0.113.7"],
    ["conn.client_port", 4711],
    ["conn.server_port", 443],
    ["conn.server_region", "eu"],
    ["conn.ts.start", "2026-01-02T03:04:05.678Z"],
    ["conn.bytes_in + conn.bytes_out", 0],
    ["conn.geo.country_code + conn.geo.city", "DEMunich"],
    ["conn.geo.latitude", "48.1"],
    ["conn.geo.latitude_degrees", 48.1],
    ["conn.geo.radius_km", 10],
    ["conn.client_ip.as.number", 3320],
    ["conn.client_ip.as.organization", "Deutsche Telekom AG"],
    ["conn.client_ip.geo.location.is_eu", true],
    ["conn.client_ip.geo.location.timezone", "Europe/Berlin"],
    ["conn.client_ip.geo.registered_location.country_code", "FR"],
    ["conn.tls.sni + conn.server_name", "db.example.comdb.example.com"],
    ["endpoint.host + ':' + string(endpoint.port)", "db.internal:5432"],
    ["vars.tier", "gold"],
    ["vars.limits.us[1]", 2.5],
    ["actions.ngrok.restrict_ips.action", "deny"],
    ["actions.ngrok.restrict_ips.error", { code: "" }],
  ])("%s is %j", (expression, expected) => {
    expect(given(expression)).toEqual(expected)
  })

  test("that are not there are nothing of their type, and has() tells", () => {
    expect(given("[conn.tls.version, conn.tls.client.subject, conn.via.ip]")).toEqual(["", "", ""])
    expect(given("[has(conn.tls.sni), has(conn.tls.version), has(conn.via), has(conn.geo.city)]")).toEqual([
      true,
      false,
      false,
      true,
    ])
  })

  test("of a client from nowhere are empty", () => {
    const unix = madeFacts(SOURCE, { from: undefined as never, to: "unix:/run/x.sock" })
    expect(given("[conn.client_ip, string(conn.client_port), conn.geo.city]", unix)).toEqual(["", "0", ""])
    expect(given("has(conn.client_ip)", unix)).toBe(false)
    expect(given("inCidrRange(conn.client_ip, '0.0.0.0/0')", unix)).toBe(false)
  })

  test("of the place are what geo() tells where no database was given", () => {
    const told = madeFacts({}, { geo: { country: "JP", city: "Tokyo", asn: 1 } })
    expect(given("[conn.geo.country_code, conn.geo.city, conn.server_ip.geo.location.city]", told)).toEqual([
      "JP",
      "Tokyo",
      "",
    ])
  })

  test("vars and results that were never set fail the evaluation, and has() tells", () => {
    expect(given("vars.missing")).toBe("ERR_NGROK_2238: vars.missing is not there")
    expect(given("actions.ngrok.log.metadata")).toBe("ERR_NGROK_2238: actions.ngrok.log is not there")
    expect(given("[has(vars.missing), has(vars.tier), has(vars['tier']), has(vars.limits.asia)]")).toEqual([
      false,
      true,
      true,
      false,
    ])
  })

  test("with null are there", () => {
    const made = facts()
    made.setVar("nothing", null)
    expect(given("[has(vars.nothing), 'nothing' in vars, vars.nothing == null]", made)).toEqual([true, true, true])
  })

  test("the time is a timestamp, with timestamp() around it and without", () => {
    const at = madeFacts({ now: () => Date.UTC(2026, 6, 1, 22, 30) })
    expect(
      given("[time.now.getHours(), timestamp(time.now).getHours('Europe/Berlin'), time.now.getMonth()]", at),
    ).toEqual([22, 0, 6])
    expect(given("string(time.now)", at)).toBe("2026-07-01T22:30:00Z")
    expect(given("time.now - duration('1h') < time.now", at)).toBe(true)
  })

  test("of the place are asked for when they are read, and not with the address or the whole", () => {
    const none = madeFacts({
      place: () => {
        throw new GeoUnavailable("no database")
      },
    })
    none.setVar("ip", fromPlain("x"))
    const ip = "203.0.113.7"
    expect(given("conn.client_ip", none)).toBe(ip)
    expect(given("[conn.client_ip, {'a': conn.client_ip}]", none)).toEqual([ip, { a: ip }])
    expect(given("string([conn.client_ip].join() + conn.client_ip)", none)).toBe(ip + ip)
    expect(given("conn", none)).toMatchObject({ client_ip: ip, client_port: 4711 })
    const deep = compileDeep({ list: ["${conn.client_ip}"] }).program?.evaluate(none)
    expect(plain(deep as never)).toEqual({ list: [ip] })
    expect(given("conn.client_ip.as.number", none)).toBe("ERR_NGROK_2238: no database")
  })

  test("categories count for those above them", () => {
    expect(given("'com.cloudflare' in conn.client_ip.categories && 'com' in conn.client_ip.categories")).toBe(true)
    expect(given("[conn.client_ip.is_on_blocklist, conn.client_ip.is_tor_node]")).toEqual([true, false])
    expect(given("[conn.server_ip.is_on_blocklist, 'com' in conn.server_ip.categories]")).toEqual([false, false])
  })

  test("before TLS was ended the hello tells, and then what was agreed", () => {
    const made = madeFacts({}, { to: "tls://a.example:443", tls: { sni: "a.example", alpn: ["h2", "http/1.1"] } })
    expect(given("[conn.tls.alpn, has(conn.tls.ja4_fingerprint), has(conn.tls.negotiated_alpn)]", made)).toEqual([
      ["h2", "http/1.1"],
      true,
      false,
    ])
    made.terminated = {
      version: "TLSv1.3",
      cipher: "TLS_AES_128_GCM_SHA256",
      alpn: "h2",
      sni: "a.example",
      resumed: false,
      clientCertificate: {
        subject: "CN=amy,OU=db,OU=ops,O=Example\\, Inc",
        issuer: "CN=ca",
        commonName: "amy",
        sans: { dns: ["amy.example"], ip: ["10.0.0.1"], email: [], uri: ["spiffe://x/amy"] },
        serial: "01",
        notBefore: new Date(0),
        notAfter: new Date(Date.UTC(2030, 0, 1)),
        fingerprint: "ab",
        verified: true,
        unverified: undefined,
      },
    }
    expect(given("[conn.tls.version, conn.tls.cipher_suite, conn.tls.negotiated_alpn]", made)).toEqual([
      "1.3",
      "TLS_AES_128_GCM_SHA256",
      "h2",
    ])
    expect(given("conn.tls.client.subject", made)).toBe("CN=amy,OU=db,OU=ops,O=Example\\, Inc")
    expect(given("conn.tls.client.subject.common_name", made)).toBe("amy")
    expect(given("conn.tls.client.subject.organizational_unit", made)).toEqual(["db", "ops"])
    expect(given("conn.tls.client.subject.organization", made)).toEqual(["Example, Inc"])
    expect(given("conn.tls.client.san.uris.exists(u, u.startsWith('spiffe://x/'))", made)).toBe(true)
    expect(given("conn.tls.client.san", made)).toBe("DNS:amy.example, IP Address:10.0.0.1, URI:spiffe://x/amy")
    expect(given("conn.tls.client.validity.not_after > timestamp('2029-01-01T00:00:00Z')", made)).toBe(true)
  })
})

describe("texts that have fields", () => {
  test.each<[string, Json]>([
    ["conn.client_ip == '203.0.113.7'", true],
    ["'203.0.113.7' == conn.client_ip && conn.client_ip != conn.server_ip", true],
    ["conn.client_ip in ['203.0.113.7', '192.0.2.1']", true],
    ["'203.0.113.7' in [conn.client_ip]", true],
    ["conn.client_ip in {'203.0.113.7': 1}", true],
    ["conn.client_ip.startsWith('203.') && conn.client_ip.size() == 11", true],
    ["{conn.client_ip: 1}", { "203.0.113.7": 1 }],
    ["{'203.0.113.7': 'known'}[conn.client_ip]", "known"],
    ["type(conn.client_ip) == string", true],
    ["[conn.client_ip, conn.server_ip].exists(ip, ip.is_on_blocklist)", true],
    ["[conn.client_ip].map(ip, ip.startsWith('203.') ? ip + '!' : '')", ["203.0.113.7!"]],
    ["[conn.client_ip].map(ip, {ip: ip.as.number})", [{ "203.0.113.7": 3320 }]],
    ["[conn.client_ip, '1.2.3.4'].sort()", ["1.2.3.4", "203.0.113.7"]],
    ["[conn.client_ip].join(',') + '%s'.format([conn.client_ip])", "203.0.113.7203.0.113.7"],
    ["(true ? conn.client_ip : conn.server_ip).as.number", 3320],
    ["conn['client_ip']", "203.0.113.7"],
    ["conn[vars.tier == 'gold' ? 'client_ip' : 'x'].as.number", 3320],
    ["'client_ip' in conn && !('via' in conn)", true],
    ["'categories' in conn.client_ip", true],
    ["conn.client_ip.as", { number: 3320, organization: "Deutsche Telekom AG" }],
    ["conn.tls.sni.split('.')[0]", "db"],
  ])("%s is %j", (expression, expected) => {
    expect(given(expression)).toEqual(expected)
  })

  test("keep both in a variable", () => {
    const made = facts()
    const value = compileTemplate("${conn.client_ip}").program?.evaluate(made)
    if (value === undefined || value instanceof EvaluationFailed) throw new Error("no value")
    made.setVar("ip", value)
    expect(textOf(value)).toBe("203.0.113.7")
    expect(given("vars.ip.as.number", made)).toBe(3320)
    expect(given("vars.ip == '203.0.113.7' && vars.ip.startsWith('203') && vars.ip in ['203.0.113.7']", made)).toBe(
      true,
    )
    expect(given("'ip=' + vars.ip + ' ' + string(size(vars.ip))", made)).toBe("ip=203.0.113.7 11")
    expect(given("inCidrRange(vars.ip, '203.0.113.0/24') && {'203.0.113.7': true}[vars.ip]", made)).toBe(true)
  })
})

describe("functions", () => {
  test.each<[string, Json]>([
    ["inCidrRange(conn.client_ip, '203.0.113.99/24')", true],
    ["inCidrRanges(conn.client_ip, ['10.0.0.0/8', 'nonsense', '203.0.113.0/24'])", true],
    ["inCidrRange('2001:db8::1', '2001:db8::/32') && '10.1.2.3'.inCidrRange('10.0.0.0/8')", true],
    ["inCidrRange('nonsense', '0.0.0.0/0')", false],
    [
      "['10.1.1.1', '172.31.0.1', '192.168.0.1', '172.32.0.1', '127.0.0.1', 'x'].map(i, i.isPrivateIp())",
      [true, true, true, false, false, false],
    ],
    ["lists.range(200).all(x, rand.int() in [0, 1] && rand.int(3, 5) >= 3 && rand.int(3, 5) <= 5)", true],
    ["rand.double() >= 0.0 && rand.double() < 1.0", true],
    ["secrets.get('vault', 'password')", "s3cret"],
    [
      "['hello'.crc32(), hash.crc64('hello'), hash.xxhash64('hello', 'hex')]",
      ["3610a686", "3c3eeee2d8100000", "26c7827d889f6da3"],
    ],
    [
      "['hello'.crc32('base64'), 'hello'.crc64('base64'), 'hello'.md5()]",
      ["NhCmhg==", "PD7u4tgQAAA=", "5d41402abc4b2a76b9719d911017c592"],
    ],
    ["hash.sha1('hello', 'base64')", "qvTGHdzF6KLavt4PO0gs2a6pQ00="],
    ["'hello'.sha256()", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"],
    ["hash.sha512('hello').size()", 128],
    ["base64.encode(b'hello') + string(base64.decode('aGVsbG8='))", "aGVsbG8=hello"],
    ["'some:thing'.encodeBase64().decodeBase64()", "some:thing"],
    ["'aGVsbG8'.decodeBase64()", "hello"],
    ["basic_auth.encode('username', 'password1')", "Basic dXNlcm5hbWU6cGFzc3dvcmQx"],
    ['json.decode(\'{"a": ["b", 1]}\').a[1] == 1', true],
    ["json.encode({'a': ['b', 1, null]}) + ['c'].encodeJson()", '{"a":["b",1,null]}["c"]'],
    ["['{}'.isJson(), 'nonsense'.isJson()]", [true, false]],
    ["queryString.decode('a=b&c=d%20e')", { a: "b", c: "d e" }],
    ["{'c': 'd', 'a': 'b'}.encodeQueryString()", "a=b&c=d"],
    ["['a=b&c=d'.isQueryString(), 'not a query string'.isQueryString()]", [true, false]],
    ["url.escape('i;md/r/$y') + url.unescape('i%3Bmd%2Fr%2F%24y')", "i%3Bmd%2Fr%2F%24yi;md/r/$y"],
    ["url.parse('https://ngrok.com').host + 'tcp://db:5432/x'.parseUrl().port", "ngrok.com5432"],
    ["['https://ngrok.com'.isURL(), 'not a url'.isURL()]", [true, false]],
    ["['hello'.charAt(4), 'hello'.charAt(5)]", ["o", ""]],
    ["['hello mellow'.indexOf('ello', 2), 'hello mellow'.lastIndexOf('ello', 6), 'x'.indexOf('y')]", [7, 1, -1]],
    [
      "'hello mellow'.split() + 'a,b,c'.split(',') + 'a,b,c'.split(',', 2)",
      ["hello", "mellow", "a", "b", "c", "a", "b,c"],
    ],
    ["'hello mellow'.replace('l', 'L', 2) + 'aaa'.replace('a', 'b')", "heLLo mellowbbb"],
    ["'tacocat'.substring(4) + '\u{1F600}x'.substring(1)", "catx"],
    ["'Ärger İSTANBUL'.lower() + 'ärger'.upper() + 'TacoCÆt'.lowerAscii()", "ärger istanbulÄRGERtacocÆt"],
    ["'John \u{1F600}'.reverse() + '  x\\t '.trim()", "\u{1F600} nhoJx"],
    ["strings.quote('a \"b\"')", '"a \\"b\\""'],
    ["'%d of %s, %.1f'.format([1, ['a'], 2.25])", "1 of [a], 2.2"],
    ["[1, 2, 3, 4].slice(1, 3) + [1, [2, [3]]].flatten() + [1, [2, [3]]].flatten(2)", [2, 3, 1, 2, [3], 1, 2, 3]],
    ["[3, 1, 2].sort() + [1, 1, 2].distinct() + lists.range(2)", [1, 2, 3, 1, 2, 0, 1]],
    ["[{'n': 'a', 's': 3}, {'n': 'b', 's': 1}].sortBy(e, e.s).map(e, e.n)", ["b", "a"]],
    ["[1, 2, 3].map(x, x % 2 == 1, x * 2)", [2, 6]],
    ["{'one': 1, 'two': 2}.filter(k, k.startsWith('o'))", ["one"]],
    ["timestamp('2023-12-25T00:00:00Z').getDate('America/Los_Angeles')", 24],
    ["[timestamp('2023-12-25T12:00:00Z').getDayOfYear(), timestamp('2023-12-25T12:00:00Z').getDayOfWeek()]", [358, 1]],
    ["timestamp(86400).getDayOfMonth() + duration('90m').getMinutes()", 91],
    ["timestamp('2026-03-29T01:30:00Z').getHours('Europe/Berlin')", 3],
    ["timestamp('2026-01-01T00:00:00Z').getHours('-03:30')", 20],
    ["matches('foobar', 'foo.*') && 'x'.matches('(?i)X')", true],
    ["conn.client_ip.matches('^203[.]') // with a comment\n", true],
  ])("%s is %j", (expression, expected) => {
    expect(given(expression)).toEqual(expected)
  })

  test.each([
    ["[1, 'b'].map(x, dyn(x)).sort()", "only numbers, texts"],
    ["[[1]].map(x, x).sort()", "only numbers, texts"],
    ["conn.client_ip.substring(100)", "the position is not within the text"],
    ["rand.int(5, 3)", "the first number is the least"],
    ["secrets.get('vault', 'missing')", "there is no such secret"],
    ["[1, 2][conn.client_port]", "there is no such element"],
    ["dyn(conn.client_ip) + 1", "+ takes no string and int"],
    ["conn.bytes_in / 0", "divide by zero"],
  ])("%s fails: %s", (expression, message) => {
    expect(given(expression)).toContain(message)
  })
})

describe("problems are told before anything runs", () => {
  test.each<[string, string, string, string | undefined]>([
    ["conn.tls.snii == 'x'", "conn.tls.snii", 'there is no conn.tls.snii; did you mean "sni"?', undefined],
    ["client_ip == 'x'", "client_ip", 'there is no variable "client_ip"; did you mean conn.client_ip?', undefined],
    ["true && getReqHeader('a') == []", "getReqHeader", "getReqHeader() reads a request", "conn.tls.sni"],
    ["req.url.path == '/'", "req.url.path", "which exists for HTTP only", "endpoint.url"],
    ["conn.k8s.pod.id == 'x'", "conn.k8s.pod.id", "Kubernetes binding only", "conn.client_ip"],
    ["'1.2.3.4'.isPrivateIP()", "isPrivateIP", 'did you mean "isPrivateIp"?', undefined],
    ["hash.sha3('x') == ''", "sha3", 'did you mean "hash.sha1"?', undefined],
    ["rand.int(3) == 1", "rand.int(3)", "rand.int() takes 0 or 2 arguments, found 1", "rand.int(int, int)"],
    ["conn.client_port == '4711'", "conn.client_port == '4711'", "never equal", "without quotes"],
    ["conn.client_port in ['1']", "conn.client_port in ['1']", "never in it", "without quotes"],
    ["conn.geo.radius <= 5", "conn.geo.radius <= 5", "a string and an int", "conn.geo.radius_km"],
    ["conn.ts.start < '2026'", "conn.ts.start < '2026'", "a timestamp and a string", 'timestamp("2026'],
    ["conn.client_ip", "conn.client_ip", "has to give a bool", "compare it"],
    ["conn.client_ip.matches('(')", "'('", "not one of RE2", undefined],
    ["conn.ts.start.getHours('Mars') == 1", "'Mars'", "no time zone", undefined],
    ["duration('5 minutes') > duration('1s')", "duration('5 minutes')", "fails each time", undefined],
    ["[x for x in vars.list if x > 1]", "for", "no list comprehensions", "list.filter(x, condition)"],
    ["var x = 1", "var", "no variables of its own", "set-vars"],
    ["conn.client_port = 1", "=", "no operator of CEL", "a comparison is =="],
    ["true and false", "and", "no operator of CEL", "write &&"],
    ["conn.client_port not in [1]", "not", "no `not in`", "!(x in list)"],
    ["conn.client_ip == 'x", "'x", "the text in quotes has no end", undefined],
    ["(true || false", "(", "is not closed", undefined],
    ["true &&", "", "expected a value behind &&", undefined],
    ["", "", "the expression is empty", undefined],
    ["conn.client_ip.exists(x, true)", "conn.client_ip", "only lists and maps have elements", undefined],
    ["[1].map(x) == []", "map", "list.map(x, value)", undefined],
    ["size(conn.client_ip, 1) == 1", "size(conn.client_ip, 1)", "takes 1 argument, found 2", undefined],
    ["google.protobuf.Duration{seconds: 1} == vars.x", "google", "there are no messages here", undefined],
    ["99999999999999999999 == 1", "99999999999999999999", "does not fit into 64 bits", undefined],
    ["'a' in 'abc'", "'a' in 'abc'", "looks into lists and maps", "text.contains(part)"],
    ["has(conn)", "has", "has() asks for a field", "has(vars.name)"],
  ])("%s", (expression, at, message, hint) => {
    const [found, said, hinted] = wrong(expression)
    expect(said).toContain(message)
    if (hint !== undefined) expect(hinted).toContain(hint)
    expect(found).toBe(at)
  })

  test("what is doubtful is a warning, and runs", () => {
    const radius = compileExpression("conn.geo.radius <= '5'")
    expect(radius.program?.evaluate(facts())).toBe(true)
    expect(radius.problems).toMatchObject([
      { severity: "warning", message: expect.stringContaining("letter by letter") },
    ])
    const network = compileExpression("inCidrRange(conn.client_ip, '10.0.0.0/33')")
    expect(network.program?.evaluate(facts())).toBe(false)
    expect(network.problems).toMatchObject([{ severity: "warning", offset: 28, length: 13 }])
  })

  test("one mistake is one problem", () => {
    expect(compileExpression("nonsense.foo(1).bar[2] == 3 && conn.client_port > 1").problems).toHaveLength(1)
  })
})

/** What a template gives. */
const value = (text: string) => compileTemplate(text).program?.evaluate(facts())

describe("templates", () => {
  test("without an expression are their text", () => {
    const { program } = compileTemplate("tcp://db.internal:5432")
    expect(program).toMatchObject({ isStatic: true })
    expect(program?.evaluate(facts())).toBe("tcp://db.internal:5432")
  })

  test("of one expression keep its type, and others are texts", () => {
    expect(value("${conn.client_port}")).toBe(4711n)
    expect(value("${int(50.5)}")).toBe(50n)
    expect(value(" ${conn.client_port}")).toBe(" 4711")
    expect(value("tcp://${endpoint.host}:${conn.client_port + 1}")).toBe("tcp://db.internal:4712")
    expect(value("${vars.limits} ${time.now > conn.ts.start} ${null} ${1.5} ${b'x'} ${2u}")).toBe(
      '{"eu":5,"us":[1,2.5]} true null 1.5 x 2',
    )
  })

  test("have brackets and quotes in their expressions", () => {
    expect(value("a${{'}': 'b'}['}']}c")).toBe("abc")
    expect(value("a${'${x}'}c")).toBe("a${x}c")
    expect(value('${"}" + \'{\' + r"\\"}')).toBe("}{\\")
  })

  test("have a way to write the characters themselves", () => {
    expect(value("$${vars.tier}")).toBe("${vars.tier}")
    expect(value("$${a} ${vars.tier} $5 $$ {}")).toBe("${a} gold $5 $$ {}")
  })

  test("tell where in the text a problem is", () => {
    const text = "a ${vars.tier} b ${conn.client_ipp}"
    const [problem] = compileTemplate(text).problems
    expect(problem).toMatchObject({ code: "ERR_NGROK_2224" })
    expect(text.slice(problem?.offset).slice(0, problem?.length)).toBe("conn.client_ipp")
    expect(compileTemplate("a ${vars.tier").problems).toMatchObject([{ offset: 2, message: "the ${ is not closed" }])
    expect(compileTemplate("a ${}").problems).toMatchObject([{ offset: 4, message: "the expression is empty" }])
    const failed = compileTemplate("a ${vars.missing}").program?.evaluate(facts())
    expect(failed).toMatchObject({ _tag: "EvaluationFailed", code: "ERR_NGROK_2238", offset: 8 })
  })

  test("at any depth of a value keep what is around them", () => {
    const { program } = compileDeep({ who: "${conn.client_ip}", list: [1, 2.5, "x${1 + 1}", null], "${k}": true })
    const value = program?.evaluate(facts())
    if (value === undefined || value instanceof EvaluationFailed) throw new Error("no value")
    expect(plain(value)).toEqual({ who: "203.0.113.7", list: [1, 2.5, "x2", null], "${k}": true })
    expect(compileDeep({ a: [{ b: "${oops}" }] }).problems).toMatchObject([{ path: ["a", 0, "b"], offset: 2 }])
  })
})

/** The names of what an expression needs. */
function needs(text: string): readonly string[] {
  const { program } = compileExpression(text)
  return Object.entries(program?.needs ?? {}).flatMap(([need, is]) => (is ? [need] : []))
}

test("programs say what they need, and which names they read", () => {
  expect(needs("conn.client_ip == 'x'")).toEqual([])
  expect(needs("conn.tls.sni == 'x'")).toEqual(["hello"])
  expect(needs("conn.tls.client.subject.common_name == 'x'")).toEqual(["terminated"])
  expect(needs("conn.geo.city == 'x' || conn.client_ip.is_tor_node")).toEqual(["geo", "categories"])
  expect(needs("secrets.get('a', 'b') == 'x'")).toEqual(["secrets"])
  const text = "has(vars.a) && actions.ngrok.restrict_ips.action == vars['b']"
  expect(compileExpression(text).program?.reads).toMatchObject([
    { kind: "var", name: "a" },
    { kind: "result", name: "restrict_ips" },
    { kind: "var", name: "b" },
  ])
})

test("equal texts give one program", () => {
  expect(compileExpression("conn.client_port == 1")).toBe(compileExpression("conn.client_port == 1"))
})

test("a secret is in no message", () => {
  const uses = [
    "bool(x)",
    "int(x)",
    "duration(x)",
    "timestamp(x)",
    "{'a': 1}[x]",
    "x + 1",
    "{x: 1, x: 2}",
    "x.matches(x + '(')",
    "json.decode(x)",
    "base64.decode(x)",
    "time.now.getHours(x)",
    "url.parse(x)",
    "'%d'.format([x])",
    "x ? 1 : 2",
    "x.hash.sha256(x)",
    "[x].sort()[1]",
    "'x'.sha256(x)",
    "vars[x].y",
    "lists.range(x)",
  ]
  const made = facts()
  made.setVar("password", "s3cret")
  for (const use of uses)
    for (const secret of [
      "secrets.get('vault', 'password')",
      "dyn(secrets.get('vault', 'password'))",
      "vars.password",
    ]) {
      const { problems, program } = compileTemplate(`\${${use.replaceAll(/\bx\b(?!')/g, secret)}}`)
      const said = [...problems.map(({ message }) => message), program?.evaluate(made)]
      expect(JSON.stringify(said.map((one) => (one instanceof EvaluationFailed ? one.message : one)))).not.toContain(
        "s3cret",
      )
    }
})

describe("bounds", () => {
  test.each([
    ["lists.range(1000).map(a, lists.range(1000).map(b, a + b)).size() > 0", "ERR_NGROK_2249"],
    ["lists.range(100).all(a, lists.range(100).all(b, lists.range(100).all(c, true)))", "ERR_NGROK_2249"],
    [`[1]${".map(a, [a, a])".repeat(30)}.size() > 0`, "ERR_NGROK_2249"],
    [`[1]${".map(a, [a])".repeat(80)}.size() > 0`, "ERR_NGROK_2250"],
    [`['xxxxxxxx']${".map(a, a + a)".repeat(30)}.size() > 0`, "ERR_NGROK_2249"],
    ["lists.range(90000).map(x, 'a' + string(x)).join('bbbbbbbbbbbbb').size() > 0", "ERR_NGROK_2249"],
    [
      "lists.range(10000).map(x, 'aaaaaaaaaaaaaaaa').join().replace('', 'bbbbbbbbbbbbbbbb').size() > 0",
      "ERR_NGROK_2249",
    ],
    ["lists.range(30000).map(x, 'a').join().matches('(a?){30}(a*)*b')", "ERR_NGROK_2249"],
    ["lists.range(1000).all(x, x in lists.range(1000)) || true", "ERR_NGROK_2249"],
    ["lists.range(20000).map(x, dyn(x)).distinct().size() > 0", "ERR_NGROK_2249"],
    ["lists.range(20000).all(a, lists.range(20000).exists(b, true))", "ERR_NGROK_2249"],
    ["lists.range(20000).all(x, !vars.long.contains('b'))", "ERR_NGROK_2249"],
    ["lists.range(20000).all(x, vars.long == vars.long)", "ERR_NGROK_2249"],
    ["lists.range(20000).all(x, vars.long.lowerAscii() != '')", "ERR_NGROK_2249"],
    ["lists.range(20000).all(x, size(vars.long) > x)", "ERR_NGROK_2249"],
    ["lists.range(20000).all(x, bytes(vars.long) == bytes(vars.long))", "ERR_NGROK_2249"],
  ])("%s ends", (expression, code) => {
    const { problems, program } = compileExpression(expression)
    expect(problems).toEqual([])
    const made = facts()
    made.setVar("long", "a".repeat(500_000))
    expect(program?.evaluate(made)).toMatchObject({ _tag: "EvaluationFailed", code })
  })

  test("numbers of a million digits are no numbers", () => {
    const made = facts()
    made.setVar("long", "9".repeat(1_000_000))
    expect(given("int(vars.long)", made)).toBe("ERR_NGROK_2238: int: the text is no number")
  })

  test("patterns that back-tracking would never get through are done", () => {
    const made = facts()
    made.setVar("text", `${"a".repeat(60)}!`)
    expect(given("vars.text.matches('^(a+)+$')", made)).toBe(false)
    expect(given("vars.text.matches('^(a|aa)*$')", made)).toBe(false)
  })

  test("a variable that grows by itself stays small enough to be written", () => {
    const made = facts()
    made.setVar("x", fromPlain(["text"]))
    const { program } = compileTemplate("${[vars.x, vars.x]}")
    let failed: unknown
    for (let i = 0; i < 100 && failed === undefined; i++) {
      const value = program?.evaluate(made)
      if (value instanceof EvaluationFailed) failed = value
      else if (value !== undefined) made.setVar("x", value)
    }
    expect(failed).toMatchObject({ code: "ERR_NGROK_2249" })
  })

  test.each([
    `${"(".repeat(5000)}1`,
    `${"-".repeat(16_000)}1`,
    `1${" + 1".repeat(4000)} == 1`,
    `conn${".a".repeat(8000)}`,
    `${"[".repeat(40)}1${"]".repeat(40)} == []`,
    `'${"x".repeat(20_000)}' == ''`,
    `${"a ? b : ".repeat(2000)}c`,
  ])("an expression that is too long or too deep is refused: %.20s", (text) => {
    expect(compileExpression(text).program).toBeUndefined()
  })

  test("a list of some hundred constants is not too much", () => {
    const networks = Array.from({ length: 500 }, (_, i) => `'10.${i % 256}.0.0/16'`).join(", ")
    expect(compileExpression(`inCidrRanges('10.3.1.1', [${networks}])`).program?.evaluate(facts())).toBe(true)
  })
})

test.each<[string, Json]>([
  ["9007199254740993", "9007199254740993"],
  ["9007199254740991", 9_007_199_254_740_991],
  ["18446744073709551615u", "18446744073709551615"],
  ["b'\\x00\\xff'", "AP8="],
  ["timestamp('2026-01-01T00:00:00.5Z')", "2026-01-01T00:00:00.500Z"],
  ["duration('90s')", "90s"],
  ["double('NaN')", "NaN"],
  ["{1: 'a', true: 'b'}", { "1": "a", true: "b" }],
  ["type(1)", "int"],
  ["[null]", [null]],
])("%s is %j in JSON", (expression, expected) => {
  expect(given(expression)).toEqual(expected)
})
