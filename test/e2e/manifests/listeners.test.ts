// Gateways of manifests in a real gateway: ports that are bound before there is a route, names that nobody serves, and
// the certificate of each name.
import { expect, test } from "bun:test"
import { connect } from "node:net"
import { authority } from "../../helper/certificates.ts"
import { alertIn, sClient } from "../../helper/openssl-client.ts"
import { eventually } from "../../helper/eventually.ts"
import { freePort } from "../../helper/ports.ts"
import { ask } from "../../helper/secure.ts"
import { serve } from "../../helper/serve.ts"
import { echo, upstream } from "../../helper/upstream.ts"
import { gateway, tlsSecret } from "../../config/kubernetes/compiled.ts"

const ca = authority()
const listener = (name: string, port: number, hostname: string, refs: string) =>
  `{ name: ${name}, port: ${port}, protocol: TLS, hostname: "${hostname}", tls: { mode: Terminate, certificateRefs: [${refs}] } }`
const LOCAL = "addresses: [{ value: 127.0.0.1 }]"

function routeTo(port: number, kind: "TCPRoute" | "TLSRoute", hostnames: string, sections: readonly string[]): string {
  const parents = sections.map((section) => `{ name: edge, sectionName: ${section} }`).join(", ")
  return `apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: { name: echo }
spec: { parentRefs: [${parents}], ${hostnames}rules: [{ backendRefs: [{ name: echo, port: 80 }] }] }
---
apiVersion: v1
kind: Service
metadata: { name: echo }
spec: { ports: [{ port: 80 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: echo, labels: { kubernetes.io/service-name: echo } }
addressType: IPv4
endpoints: [{ addresses: [127.0.0.1] }]
ports: [{ port: ${port} }]
---
`
}

test("each name gets its certificate, and what nobody serves is refused; the file with the routes may be any", async () => {
  using target = upstream(echo)
  const port = freePort()
  const names = ["one.example.com", "*.example.com"].map((name) => ca.issue({ names: [name] }))
  await using served = await serve({
    // Files are asked in the order of their names: what denies the rest has the first one.
    "a-gateway.yaml":
      gateway(
        "edge",
        [
          listener("wild", port, "*.example.com", "{ name: wild }, { name: one }"),
          listener("broken", port, "broken.example.com", "{ name: gone }"),
        ],
        [LOCAL],
      ) +
      tlsSecret("one", names[0]!) +
      tlsSecret("wild", names[1]!),
    "b-routes.yaml": routeTo(target.port, "TLSRoute", 'hostnames: ["*.example.com"], ', ["wild", "broken"]),
  })
  // The certificate is checked against the name that is asked for.
  const asked = (servername: string) => ask({ port, servername, ca: ca.cert }, "hello")
  expect(await asked("one.example.com")).toBe("hello")
  expect(await asked("two.example.com")).toBe("hello")
  const refused = (name: string) => sClient(port, ["-servername", name])
  expect(alertIn(await refused("broken.example.com"))).toContain("access denied")
  expect(alertIn(await refused("other.example.org"))).toContain("unrecognized name")
  await served.until(() => served.events.some(({ close }) => close.reason === "denied"))
})

test("a port is bound before there is a route, and has one as soon as there is", async () => {
  using target = upstream(echo)
  const port = freePort()
  await using served = await serve({
    "a.yaml": gateway("edge", [`{ name: db, port: ${port}, protocol: TCP }`], [LOCAL]),
  })
  expect(await said(port)).toBe("")
  const denied = await served.until(() => served.events.find(({ close }) => close.reason === "denied"))
  expect(JSON.stringify(denied)).toContain("no route of the listener db of Gateway default/edge takes connections")
  served.write("b.yaml", routeTo(target.port, "TCPRoute", "", ["db"]))
  await eventually(async () => (await said(port)) === "hello")
})

/** What comes back, until it is as much as was said or the connection is over. */
async function said(port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  let answer = ""
  const socket = connect({ host: "127.0.0.1", port }, () => socket.write("hello"))
  socket.setEncoding("utf8")
  socket.on("data", (chunk: string) => {
    answer += chunk
    if (answer.length >= 5) resolve(answer)
  })
  socket.on("error", () => resolve(answer))
  socket.on("close", () => resolve(answer))
  try {
    return await promise
  } finally {
    socket.destroy()
  }
}
