import { expect, test } from "bun:test"
import { readEndpointUrl } from "../../../src/config/traffic-policy/endpoint-url.ts"

function said(url: unknown, bindings?: unknown): unknown {
  const read = readEndpointUrl(url, bindings)
  if (read.kind === "http") return `http: ${read.hint}`
  if (read.kind === "problem") return `${read.problem.field}: ${read.problem.message}${shown(read.problem.hint)}`
  const { binding, listen, text } = read.url
  return [
    text,
    binding,
    listen.map((entry) => entry.url).join(" "),
    ...read.remarks.map(({ field, hint, message }) => `${field}: ${message}${shown(hint)}`),
  ]
}

function shown(hint: string | undefined): string {
  return hint === undefined ? "" : ` [${hint}]`
}

test.each([
  ["tcp://1.tcp.ngrok.io:12345", "tcp://1.tcp.ngrok.io:12345", "tcp://:12345"],
  ["tcp://0.tcp.eu.ngrok.io:12345", "tcp://0.tcp.eu.ngrok.io:12345", "tcp://:12345"],
  ["tcp://:5432", "tcp://:5432", "tcp://:5432"],
  ["tcp://:0", "tcp://:0", "tcp://:0"],
  ["tcp://127.0.0.1:5432", "tcp://127.0.0.1:5432", "tcp://127.0.0.1:5432"],
  ["tcp://[::1]:5432", "tcp://[::1]:5432", "tcp://[::1]:5432"],
  ["TCP://LocalHost:5432", "tcp://localhost:5432", "tcp://127.0.0.1:5432 tcp://[::1]:5432"],
  ["tls://Db.Example.com", "tls://db.example.com", "tls://db.example.com:443"],
  ["tls://db.example.com.:443", "tls://db.example.com", "tls://db.example.com:443"],
  ["tls://*.example.com", "tls://*.example.com", "tls://*.example.com:443"],
  ["tls://:443", "tls://:443", "tls://:443"],
  ["tls://127.0.0.1", "tls://127.0.0.1:443", "tls://127.0.0.1:443"],
  ["tls://[::1]", "tls://[::1]:443", "tls://[::1]:443"],
])("%s is %s, and listens on %s", (written, text, listen) => {
  expect(said(written)).toEqual([text, "public", listen])
})

test.each([
  ["tcp://db.internal:5432", undefined, "tcp://db.internal:5432"],
  ["tcp://DB.internal.:5432", ["internal"], "tcp://db.internal:5432"],
  ["tcp://*.db.internal:5432", [], "tcp://*.db.internal:5432"],
  ["tls://db.internal", null, "tls://db.internal"],
  ["tls://db.internal:8443", undefined, "tls://db.internal:8443"],
])("%s with %j is reached by forward-internal alone", (written, bindings, text) => {
  expect(said(written, bindings)).toEqual([text, "internal", ""])
})

test.each([
  ["tcp://db.example.com:5432", /port 5432 of all addresses is listened on.*write "tcp:\/\/:5432", or "tls:/],
  [
    "tls://db.example.com:8443",
    /port 8443 is listened on; ngrok itself .* port 443 only.*ERR_NGROK_9035.*write "tls:\/\/db.example.com"/,
  ],
  ["tls://:9000", /port 9000 is listened on/],
  ["tcp://a.b.c.d.e.f.internal:1", /6 parts before .internal; ngrok takes at most 5 \(ERR_NGROK_9031\)/],
])("%s is served with a remark", (written, remark) => {
  const read = said(written)
  expect(read).toHaveLength(4)
  expect((read as string[])[3]).toMatch(remark)
})

test("an endpoint of a cluster is a listener like others, and it is said", () => {
  expect(said("tcp://db.default:5432", ["kubernetes"])).toEqual([
    "tcp://db.default:5432",
    "kubernetes",
    "tcp://:5432",
    expect.stringContaining("inside of clusters"),
  ])
  expect(said("tls://db.default", ["k8s/cluster-1"])).toEqual([
    "tls://db.default",
    "kubernetes",
    "tls://db.default:443",
    expect.stringContaining("inside of clusters"),
    expect.stringContaining('for both, write "tcp://db.default:443"'),
  ])
})

test.each([
  ["tcp://", /random address.*ERR_NGROK_18003.*"tcp:\/\/:5432".*"tcp:\/\/:0"/],
  [
    "tcp://db.ngrok.app",
    /has a port.*ERR_NGROK_18003.*ngrok takes no domain here, although its quickstart has one.*"tls:\/\/db.ngrok.app"/,
  ],
  ["tcp://1.tcp.ngrok.io", /has a port, like "tcp:\/\/1.tcp.ngrok.io:5432" \(ERR_NGROK_18003\)$/],
  ["tcp://db.internal", /has a port, like "tcp:\/\/db.internal:5432" \(ERR_NGROK_18003\)$/],
  ["tcp://*.example.com:5432", /clients of a tcp:\/\/ endpoint send no name/],
  ["tcp://:70000", /"70000" is not a port.*ERR_NGROK_9030/],
  ["tcp://db.internal:0", /port of its own.*ERR_NGROK_9030/],
  ["tls://", /has a name.*ERR_NGROK_249.*"tls:\/\/:443"/],
  ["tls://db.example.com/", /did you mean "tls:\/\/db.example.com"\? \(ERR_NGROK_9038\)/],
  ["tcp://user@db.example.com:1", /nothing but a host and a port.*ERR_NGROK_9037/],
  ["tcp://db.example.com:1/path", /ERR_NGROK_9037/],
  ["ssl://db.example.com", /did you mean "tls:\/\/db.example.com"\? \(ERR_NGROK_9036\)/],
  ["udp://db:1", /udp:\/\/ is not a scheme.*ERR_NGROK_9036/],
  ["tls://a.*.com", /"\*" stands for whole labels/],
  ["tcp://127.1:80", /"127.1" is not a host/],
  ["what is this", /ERR_NGROK_249/],
  [5432, /expected tcp:\/\/host:port or tls:\/\/name, found 5432/],
])("%s is refused", (written, problem) => {
  expect(said(written)).toMatch(problem)
})

test.each([
  ["tcp://db.example.com:1", ["internal"], /url: .*ends in .internal \(ERR_NGROK_9029\).*"tcp:\/\/db.internal:1"/],
  ["tcp://db.internal:1", ["public"], /bindings: .*not bound as public/],
  ["tcp://:1", ["privat"], /bindings: "privat" is no binding.*ERR_NGROK_15005/],
  ["tcp://:1", ["publik"], /did you mean "public"\?/],
  ["tcp://:1", ["public", "public"], /ERR_NGROK_15006/],
  ["tcp://:1", ["public", "internal"], /one binding, found 2/],
  ["tcp://:1", "public", /expected a list of one binding/],
  ["tcp://db.default.svc:1", ["kubernetes"], /name.namespace, found "db.default.svc" \(ERR_NGROK_9039\)/],
  ["tcp://:1", ["internal"], /ERR_NGROK_9028/],
])("%s with %j is refused", (written, bindings, problem) => {
  expect(said(written, bindings)).toMatch(problem)
})

test.each([
  [undefined, /without a URL ngrok makes it an https/],
  ["", /without a URL/],
  ["https://", /are served here/],
  ["http://db.internal", /are served here/],
  ["example.ngrok.app", /write tls:\/\/example.ngrok.app to have it served here/],
  ["db.internal:5432", /write tcp:\/\/db.internal:5432/],
])("%s is not ours", (written, hint) => {
  const read = readEndpointUrl(written, undefined)
  expect(read.kind).toBe("http")
  expect((read as { hint: string }).hint).toMatch(hint)
})

test("no URL makes it throw", () => {
  const pieces = [
    "tcp",
    "tls",
    "://",
    ":",
    "*",
    ".",
    "internal",
    "[",
    "]",
    "::1",
    "0",
    "443",
    "65536",
    "a",
    "é",
    "/",
    "@",
    " ",
    "%",
    "\n",
  ]
  let seed = 7
  const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below
  for (let i = 0; i < 20_000; i++) {
    const url = Array.from({ length: random(7) }, () => pieces[random(pieces.length)]).join("")
    const read = readEndpointUrl(url, [undefined, ["internal"], ["kubernetes"]][random(3)])
    if (read.kind !== "ours") continue
    const { binding, text } = read.url
    expect(readEndpointUrl(text, [binding])).toMatchObject({ kind: "ours", url: { text } })
  }
})
