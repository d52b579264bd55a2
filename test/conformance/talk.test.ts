import { afterAll, expect, test } from "bun:test"
import { createServer, type Socket } from "node:net"
import { Addresses } from "../../conformance/addresses.ts"
import { makeCertificates } from "../../conformance/certificates.ts"
import { startPod, type Pod } from "../../conformance/echo.ts"
import type { CertificateWish, EchoKind, EchoProtocol } from "../../conformance/supplies.ts"
import { NoAnswer, rejected, talk, type Peer } from "../../conformance/talk.ts"

const protocol: EchoProtocol = {
  plainPort: 3000,
  tlsPort: 8443,
  welcome: "Hello, who is it?",
  commands: new Map([
    ["PING", "PONG"],
    ["IS_TLS", "true|false"],
    ["TEST", "one JSON line"],
  ]),
  podName: "<deployment>-<hash>-<id>",
}
const wish: CertificateWish = {
  kind: "secret",
  name: "of-a-backend",
  namespaces: ["shop"],
  sans: ["abc.example.com"],
  authority: "root",
  isAuthority: false,
  key: "ca.crt",
  usedBy: ["echo"],
}
const certificates = await makeCertificates([wish, { ...wish, name: "of-the-gateway", sans: ["tls.example.com"] }])
const [, own, other] = certificates
const trust = { certificates, ofBackends: new Set([own!.fingerprint]) }
const addresses = new Addresses(process.pid)
const { signal } = new AbortController()

const stack = new DisposableStack()
afterAll(() => stack.dispose())

function pod(kind: EchoKind, certificate = own): string {
  const each: Pod = {
    name: "echo-1a-2b",
    namespace: "shop",
    deployment: "echo",
    labels: {},
    kind,
    service: "echo",
    certificate,
    portNames: new Map(),
  }
  const ports = [protocol.plainPort, protocol.tlsPort]
  const address = addresses.take(ports)
  stack.use(startPod(each, address, ports, protocol))
  return address
}

function ask(peer: Peer, kind: EchoKind = "tcp-echo") {
  return talk(peer, kind, protocol, trust, signal)
}

test("an echo server speaks first, and says who it is", async () => {
  const address = pod("tcp-echo")
  expect(await ask({ address, port: 3000, tls: undefined })).toEqual({
    namespace: "shop",
    pod: "echo-1a-2b",
    isTLS: false,
    serverName: "",
  })
})

test.each(["tcp-echo", "https-json-echo"] as const)("%s tells of TLS and the name that was asked for", async (kind) => {
  const address = pod(kind)
  expect(await ask({ address, port: 8443, tls: { sni: "anything.example.org" } }, kind)).toEqual({
    namespace: "shop",
    pod: "echo-1a-2b",
    isTLS: true,
    serverName: "anything.example.org",
  })
})

test("a gateway has to show the certificate for the name, if there is one", async () => {
  const address = pod("tcp-echo", other)
  expect(await ask({ address, port: 8443, tls: { sni: "tls.example.com" } })).toMatchObject({ isTLS: true })
  await expect(ask({ address, port: 8443, tls: { sni: "abc.example.com" } })).rejects.toThrow(
    "TLS: the certificate of-the-gateway, which is not for abc.example.com",
  )
})

test("a certificate that nobody gave is not trusted", async () => {
  const [stranger] = await makeCertificates([{ ...wish, authority: undefined }])
  const address = pod("tcp-echo", stranger)
  await expect(ask({ address, port: 8443, tls: { sni: "abc.example.com" } })).rejects.toThrow(/^TLS: unable to verify/)
})

/** What a server does with a connection, and its address. */
async function server(each: (socket: Socket) => void): Promise<{ address: string; port: number }> {
  const listening = createServer((socket) => {
    socket.on("error", () => undefined)
    each(socket)
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  listening.listen(0, "127.0.0.1", resolve)
  await promise
  stack.defer(() => void listening.close())
  const bound = listening.address()
  if (bound === null || typeof bound === "string") throw new Error("not bound")
  return { address: "127.0.0.1", port: bound.port }
}

const UNRECOGNISED_NAME = Buffer.from([21, 3, 3, 0, 2, 2, 112])

test.each([
  ["a FIN", (socket: Socket) => socket.once("data", () => socket.end())],
  ["a RST", (socket: Socket) => socket.once("data", () => socket.resetAndDestroy())],
  ["an alert", (socket: Socket) => socket.once("data", () => socket.end(UNRECOGNISED_NAME))],
  ["a FIN at once", (socket: Socket) => socket.end()],
])("%s during the handshake is a rejection", async (_, each) => {
  const at = await server(each)
  expect(await rejected({ ...at, tls: { sni: "example.com" } }, signal)).toBeString()
})

test("a plain connection that is closed without a byte is rejected; with one it is served", async () => {
  const closing = await server((socket) => socket.end())
  expect(await rejected({ ...closing, tls: undefined }, signal)).toBe("closed")
  const address = pod("tcp-echo")
  await expect(rejected({ address, port: 3000, tls: undefined }, signal)).rejects.toThrow("the connection was served")
})

test("a handshake that succeeds is no rejection, and neither is a port on which nobody listens", async () => {
  const address = pod("tcp-echo")
  await expect(rejected({ address, port: 8443, tls: { sni: "a.example" } }, signal)).rejects.toThrow(
    "the handshake succeeded",
  )
  await expect(rejected({ address, port: 1, tls: { sni: "a.example" } }, signal)).rejects.toThrow(NoAnswer)
})

test("a server that says nothing is given up on, and is no rejection", async () => {
  const silent = await server(() => undefined)
  const attempts = [undefined, { sni: "a.example" }].flatMap((tls): Promise<unknown>[] => [
    rejected({ ...silent, tls }, signal),
    ask({ ...silent, tls }),
  ])
  for (const ended of await Promise.allSettled(attempts))
    expect(ended).toMatchObject({
      status: "rejected",
      reason: { message: expect.stringContaining("nothing happened") },
    })
})

test("what is no echo server is told apart", async () => {
  const rude = await server((socket) => socket.write("go away\n"))
  await expect(ask({ ...rude, tls: undefined })).rejects.toThrow('"go away" instead of the welcome')
  const curt = await server((socket) => socket.end(`${protocol.welcome}\n`))
  await expect(ask({ ...curt, tls: undefined })).rejects.toThrow(NoAnswer)
})
