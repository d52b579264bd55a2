// PROXY headers with the programs that others run: HAProxy and nginx before the gateway and behind it, and PostgreSQL
// behind a front that believes headers.
import { join } from "node:path"
import { describe, expect, setDefaultTimeout, test } from "bun:test"
import { authority } from "../helper/certificates.ts"
import { run as runAny } from "../helper/cli.ts"
import { freePort } from "../helper/ports.ts"
import { hasStreams, startHaproxy, startStreams } from "../helper/proxies.ts"
import { serve } from "../helper/serve.ts"
import { installed, run, startPostgres } from "../helper/servers.ts"
import { connect } from "../helper/wire.ts"

// Real servers, on a machine that others use too.
setDefaultTimeout(120_000)

/** Says who connects, by which load balancer, and what that says. */
const told = `import { respond, type Connection } from "tidegate"
const shown = ({ client, proxy, server, via }: Connection) => ({
  client: client.address + ":" + client.port,
  server: server.address + ":" + server.port,
  via: via?.address,
  version: proxy?.version,
  command: proxy?.command,
  authority: proxy?.authority,
  alpn: proxy?.alpn,
  uniqueId: proxy?.uniqueId,
  ssl: proxy?.ssl,
  tlvs: proxy?.tlvs.map(({ type }) => type),
})
`
const telling = (listen: string) => `${told}
export const listen = ${listen}
export const on_tcp_connect = (connection: Connection) => respond(JSON.stringify(shown(connection)) + "\\n")
`
const believing = (port: number, more = "") =>
  `{ url: "tcp://127.0.0.1:${port}", proxyProtocol: { from: ["127.0.0.0/8"]${more} } }`

/** The addresses of a client and what it hears. */
async function asks(port: number): Promise<{ own: string; heard: string }> {
  using client = await connect(port, { first: "x" })
  const own = `127.0.0.1:${client.socket!.localPort}`
  const heard = await client.text()
  client.end()
  return { own, heard }
}

describe.skipIf(!installed("haproxy"))("HAProxy", () => {
  const ca = authority()
  const front = ca.issue({ names: ["front.example"] })
  const amy = ca.issue({ subject: "/O=Example/CN=amy" })
  const files = { "ca.pem": ca.cert, "front.pem": `${front.cert}${front.key}` }

  test.each([
    ["send-proxy", 1],
    ["send-proxy-v2", 2],
  ] as const)("before the gateway, with %s", async (option, version) => {
    const [at, behind] = [freePort(), freePort()]
    await using gateway = await serve({ "a.ts": telling(believing(behind)) })
    await using _haproxy = await startHaproxy(
      () => `listen l\n  bind 127.0.0.1:${at}\n  server s 127.0.0.1:${behind} ${option}`,
    )
    const { heard, own } = await asks(at)
    expect(JSON.parse(heard)).toMatchObject({ client: own, server: `127.0.0.1:${at}`, via: "127.0.0.1", version })
    const event = await gateway.until(() => gateway.events[0])
    expect([event.conn.client_port, event.via?.ip]).toEqual([Number(own.split(":")[1]), "127.0.0.1"])
  })

  test("before the gateway, with everything that it says of TLS, and a checksum", async () => {
    const [at, behind] = [freePort(), freePort()]
    await using _gateway = await serve({ "a.ts": telling(believing(behind)) })
    const options = "send-proxy-v2-ssl-cn proxy-v2-options crc32c,authority,unique-id,ssl-cipher,cert-key,cert-sig"
    await using _haproxy = await startHaproxy(
      (folder) => `frontend f
  bind 127.0.0.1:${at} ssl crt ${folder}/front.pem ca-file ${folder}/ca.pem verify optional alpn h2
  unique-id-format id-%rt
  default_backend b
backend b
  server s 127.0.0.1:${behind} ${options}`,
      files,
    )
    await Bun.write(join(_haproxy.folder, "amy.pem"), `${amy.cert}${amy.key}`)
    const client = ["openssl", "s_client", "-quiet", "-connect", `127.0.0.1:${at}`, "-servername", "Front.example"]
    const asked = async (...more: string[]) => {
      const child = Bun.spawn([...client, "-CAfile", join(_haproxy.folder, "ca.pem"), ...more], {
        stdin: "pipe",
        stdout: "pipe",
        stderr: "ignore",
      })
      // Its standard input stays open, so that it reads to the end.
      const heard = await new Response(child.stdout).text()
      await child.stdin.end()
      await child.exited
      return JSON.parse(heard)
    }
    const amys = await asked("-alpn", "h2", "-cert", join(_haproxy.folder, "amy.pem"))
    expect(amys).toMatchObject({
      version: 2,
      authority: "front.example",
      uniqueId: expect.stringMatching(/^id-\d+$/),
      ssl: {
        client: 7,
        verify: 0,
        verified: true,
        version: "TLSv1.3",
        commonName: "amy",
        cipher: expect.stringMatching(/^TLS_/),
        signatureAlgorithm: expect.any(String),
        keyAlgorithm: expect.stringMatching(/^EC/),
      },
    })
    // The checksum is among them, and was right.
    expect(amys.tlvs).toContain(3)
    const nobodys = await asked()
    expect(nobodys.ssl).toMatchObject({ client: 1, verified: false })
    expect(nobodys.ssl.commonName).toBeUndefined()
  })

  test("before the gateway, over a unix socket", async () => {
    const at = freePort()
    await using haproxy = await startHaproxy(
      (folder) => `listen l\n  bind 127.0.0.1:${at}\n  server s unix@${folder}/x.sock send-proxy-v2`,
    )
    const listen = `{ url: "unix:${haproxy.folder}/x.sock", proxyProtocol: { from: ["unix"] } }`
    await using _gateway = await serve({ "a.ts": telling(listen) })
    const { heard, own } = await asks(at)
    expect(JSON.parse(heard)).toMatchObject({ client: own, version: 2 })
  })

  test("before the gateway, where its health checks are its own connections", async () => {
    const [at, behind] = [freePort(), freePort()]
    await using gateway = await serve({ "a.ts": telling(believing(behind)) })
    await using _haproxy = await startHaproxy(
      () => `listen l
  bind 127.0.0.1:${at}
  option tcp-check
  tcp-check expect rstring local
  server s 127.0.0.1:${behind} send-proxy-v2 check check-send-proxy inter 100`,
    )
    const event = await gateway.until(() => gateway.events.find(({ via }) => via?.command === "local"))
    expect([event.conn.client_ip, event.close.reason]).toEqual(["127.0.0.1", "answered"])
  })

  test.each([1, 2])("behind the gateway, which sends version %p", async (version) => {
    const [at, behind] = [freePort(), freePort()]
    await using gateway = await serve({
      "a.ts": `import { route } from "tidegate"
export const listen = "tcp://127.0.0.1:${at}"
export const on_tcp_connect = () => route("tcp://127.0.0.1:${behind}", { proxyProtocol: ${version} })
`,
    })
    await using _haproxy = await startHaproxy(
      () => `frontend f
  mode http
  bind 127.0.0.1:${behind} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] %[dst]:%[dst_port] %[fc_pp_unique_id]\\n"`,
    )
    using client = await connect(at, { first: "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" })
    const own = `127.0.0.1:${client.socket!.localPort}`
    const body = (await client.text()).split("\r\n\r\n")[1]!.trim()
    client.end()
    const event = await gateway.until(() => gateway.events[0])
    expect(body).toBe(`${own} 127.0.0.1:${at} ${version === 2 ? event.conn.id : ""}`.trim())
  })

  test("behind the gateway, over TLS, and for TLS that was terminated there", async () => {
    const [at, behind] = [freePort(), freePort()]
    const own = ca.issue({ names: ["a.example"] })
    await using _gateway = await serve({
      "a.ts": `import { route, type Connection } from "tidegate"
export const listen = "tls://127.0.0.1:${at}"
const pair = ${JSON.stringify({ cert: own.cert, key: own.key })}
const ca = ${JSON.stringify(ca.cert)}
export const on_tcp_connect = async (connection: Connection) => {
  await connection.terminate({ certificates: [pair] })
  return route("tls://127.0.0.1:${behind}", { proxyProtocol: 2, tls: { ca, sni: "front.example" } })
}
`,
    })
    await using haproxy = await startHaproxy(
      (folder) => `frontend f
  mode http
  bind 127.0.0.1:${behind} accept-proxy ssl crt ${folder}/front.pem
  http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] %[fc_pp_authority] %[ssl_fc]\\n"`,
      files,
    )
    const ask = `https://a.example:${at}/`
    const resolve = ["--resolve", `a.example:${at}:127.0.0.1`, "--cacert", join(haproxy.folder, "ca.pem")]
    const told = await run(["curl", "-s", ...resolve, "-w", "%{local_ip}:%{local_port}", ask])
    const [seen, local] = told.split("\n")
    expect(seen).toBe(`${local} a.example 1`)
  })
})

describe.skipIf(!hasStreams())("nginx", () => {
  test("before the gateway", async () => {
    const [at, behind] = [freePort(), freePort()]
    await using _gateway = await serve({ "a.ts": telling(believing(behind)) })
    await using _nginx = await startStreams(
      `server { listen 127.0.0.1:${at}; proxy_pass 127.0.0.1:${behind}; proxy_protocol on; }`,
    )
    const { heard, own } = await asks(at)
    expect(JSON.parse(heard)).toMatchObject({ client: own, server: `127.0.0.1:${at}`, via: "127.0.0.1", version: 1 })
  })

  test("before the gateway, where headers are optional, and directly", async () => {
    const [at, behind] = [freePort(), freePort()]
    await using _gateway = await serve({ "a.ts": telling(believing(behind, ', mode: "optional"')) })
    await using _nginx = await startStreams(
      `server { listen 127.0.0.1:${at}; proxy_pass 127.0.0.1:${behind}; proxy_protocol on; }`,
    )
    const through = await asks(at)
    expect(JSON.parse(through.heard)).toMatchObject({ client: through.own, via: "127.0.0.1" })
    const direct = await asks(behind)
    expect(JSON.parse(direct.heard)).toEqual({ client: direct.own, server: `127.0.0.1:${behind}` })
  })

  test.each([1, 2])("behind the gateway, which sends version %p", async (version) => {
    const [at, behind] = [freePort(), freePort()]
    await using _gateway = await serve({
      "a.ts": `import { route } from "tidegate"
export const listen = "tcp://127.0.0.1:${at}"
export const on_tcp_connect = () => route("tcp://127.0.0.1:${behind}", { proxyProtocol: ${version} })
`,
    })
    const names = ["addr", "port", "server_addr", "server_port"].map((name) => `$proxy_protocol_${name}`)
    await using _nginx = await startStreams(
      `server { listen 127.0.0.1:${behind} proxy_protocol; return "${names.join(" ")}"; }`,
    )
    const { heard, own } = await asks(at)
    expect(heard).toBe(`${own.replace(":", " ")} 127.0.0.1 ${at}`)
  })

  test("on both sides: the first client is who the last server sees", async () => {
    const [at, middle, behind] = [freePort(), freePort(), freePort()]
    await using _gateway = await serve({
      "a.ts": `import { route } from "tidegate"
export const listen = ${believing(middle)}
export const on_tcp_connect = () => route("tcp://127.0.0.1:${behind}", { proxyProtocol: 2 })
`,
    })
    await using _nginx = await startStreams(`
  server { listen 127.0.0.1:${at}; proxy_pass 127.0.0.1:${middle}; proxy_protocol on; }
  server { listen 127.0.0.1:${behind} proxy_protocol; return "$proxy_protocol_addr:$proxy_protocol_port"; }`)
    const { heard, own } = await asks(at)
    expect(heard).toBe(own)
  })
})

const conninfo = (port: number, mode: string) =>
  `host=127.0.0.1 port=${port} user=postgres dbname=postgres sslmode=${mode} gssencmode=disable`

/** HAProxy as that front. What it was told of its clients is in its answers to `peers`. */
const fronting = (at: number, postgres: number, peers: number) =>
  startHaproxy(
    () => `frontend f
  bind 127.0.0.1:${at} accept-proxy
  tcp-request session track-sc0 src_port table t
  default_backend b
backend b
  server s 127.0.0.1:${postgres}
backend t
  stick-table type integer size 100 store conn_cnt
frontend peers
  mode http
  bind 127.0.0.1:${peers}
  http-request return status 200 content-type text/plain lf-string "%[query,table_conn_cnt(t)]"`,
  )

describe.skipIf(!installed("haproxy", "postgres", "psql", "runuser"))(
  "PostgreSQL behind a front that believes headers",
  () => {
    const ca = authority()
    const server = ca.issue({ names: ["db.example.com"] })

    const query = "select 6 * 7, ssl from pg_stat_ssl where pid = pg_backend_pid()"
    const psql = (conninfo: string, environment: Record<string, string> = {}) =>
      runAny(["psql", "-X", "-At", "-d", conninfo, "-c", query], { env: { PGCONNECT_TIMEOUT: "10", ...environment } })

    test.each([1, 2])("in plain text and over TLS, with version %p", async (version) => {
      await using postgres = await startPostgres({ tls: { cert: server.cert, key: server.key } })
      const [at, plain, terminated, behind, peers] = [freePort(), freePort(), freePort(), freePort(), freePort()]
      await using _front = await fronting(behind, postgres.port, peers)
      const target = `127.0.0.1:${behind}`
      const own = ca.issue({ names: ["gate.example.com"] })
      await using gateway = await serve({
        "passing.ts": `import { route } from "tidegate"
export const listen = "postgres://127.0.0.1:${at}"
export const on_tcp_connect = () => route("tcp://${target}", { proxyProtocol: ${version} })
`,
        "plain.ts": `import { route } from "tidegate"
export const listen = "tcp://127.0.0.1:${plain}"
export const on_tcp_connect = () => route("tcp://${target}", { proxyProtocol: ${version} })
`,
        "terminated.ts": `import { route, type Connection } from "tidegate"
export const listen = "postgres://127.0.0.1:${terminated}"
const pair = ${JSON.stringify({ cert: own.cert, key: own.key })}
const tls = ${JSON.stringify({ ca: ca.cert, sni: "db.example.com" })}
export const on_tcp_connect = async (connection: Connection) => {
  await connection.terminate({ certificates: [pair] })
  return route("tls://${target}", { proxyProtocol: ${version}, tls })
}
`,
      })
      const results = await Promise.all([
        psql(conninfo(plain, "disable")),
        psql(conninfo(at, "disable")),
        psql(conninfo(at, "require")),
        psql(conninfo(terminated, "require")),
      ])
      expect(results.map(({ stderr, stdout }) => stderr + stdout)).toEqual(["42|f\n", "42|f\n", "42|t\n", "42|t\n"])
      await gateway.until(() => gateway.events.length >= 4)
      for (const { conn } of gateway.events) {
        const counted = await (await fetch(`http://127.0.0.1:${peers}/?${conn.client_port}`)).text()
        expect([conn.client_port, counted]).toEqual([conn.client_port, "1"])
      }
      const refused = await psql(`host=127.0.0.1 port=${behind} user=postgres sslmode=disable connect_timeout=3`)
      expect(refused.code).not.toBe(0)
    })
  },
)
