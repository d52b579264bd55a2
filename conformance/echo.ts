// The pods of a replay: echo servers in this process, each on a loopback address of its own. They speak first on TCP, as
// the suite's own do, or answer HTTP requests.
import type { Certificate } from "./certificates.ts"
import type { EchoKind, EchoProtocol } from "./supplies.ts"

export interface Pod {
  readonly name: string
  readonly namespace: string
  readonly deployment: string
  readonly labels: Readonly<Record<string, string>>
  readonly kind: EchoKind
  /** The Service that it says it belongs to. */
  readonly service: string
  /** Without one it speaks no TLS. */
  readonly certificate: Certificate | undefined
  /** Where names of `targetPort` lead. */
  readonly portNames: ReadonlyMap<string, number>
}

/** What an echo server says of a connection. */
export interface Echoed {
  readonly namespace: string
  readonly pod: string
  readonly isTLS: boolean
  readonly serverName: string
}

interface Session {
  line: string
  readonly tls: boolean
}

interface TlsFacts {
  readonly alpnProtocol?: string | false | null
  getServername?(): string | false | undefined
  getTLSVersion?(): string
  getCipher?(): { readonly name?: string } | undefined
}

type EchoSocket = Bun.Socket<Session>

/** 8 KiB: nobody here says more at once. */
const LONGEST_LINE = 8 * 1024

/** Opens the ports of a pod. */
export function startPod(pod: Pod, address: string, ports: Iterable<number>, protocol: EchoProtocol): Disposable {
  const opened: { stop(closeActive?: boolean): void }[] = []
  for (const port of new Set(ports)) {
    const isTls = port === protocol.tlsPort || port === 443
    if (isTls && pod.certificate === undefined) continue
    const handlers = handlersOf(pod, protocol, isTls)
    const { cert, key } = pod.certificate ?? { cert: "", key: "" }
    opened.push(
      isTls
        ? Bun.listen<Session>({ hostname: address, port, tls: { cert, key }, socket: handlers })
        : Bun.listen<Session>({ hostname: address, port, socket: handlers }),
    )
  }
  return {
    [Symbol.dispose]() {
      for (const server of opened) server.stop(true)
    },
  }
}

function handlersOf(pod: Pod, protocol: EchoProtocol, tls: boolean): Bun.SocketHandler<Session> {
  const greet = (socket: EchoSocket) => {
    if (pod.kind === "tcp-echo") socket.write(`${protocol.welcome}\n`)
  }
  return {
    open(socket) {
      socket.data = { line: "", tls }
      if (!tls) greet(socket)
    },
    handshake(socket, ok) {
      if (ok) greet(socket)
    },
    data(socket, chunk) {
      const session = socket.data
      session.line += chunk.toString("latin1")
      if (pod.kind === "tcp-echo") answerLines(pod, protocol, socket)
      else answerRequest(pod, protocol, socket)
      if (session.line.length > LONGEST_LINE) socket.terminate()
    },
    // A client that resets is no news here.
    error: () => undefined,
  }
}

function answerLines(pod: Pod, protocol: EchoProtocol, socket: EchoSocket): void {
  const lines = socket.data.line.split("\n")
  socket.data.line = lines.pop() ?? ""
  for (const line of lines) {
    const command = line.trim()
    const answer = protocol.commands.get(command)
    if (answer === undefined) continue
    if (command === "TEST") socket.write(`${JSON.stringify(factsOf(pod, protocol, socket))}\n`)
    else socket.write(`${command === "IS_TLS" ? String(socket.data.tls) : answer}\n`)
  }
}

function answerRequest(pod: Pod, protocol: EchoProtocol, socket: EchoSocket): void {
  const end = socket.data.line.indexOf("\r\n\r\n")
  if (end < 0) return
  const [first = "", ...fields] = socket.data.line.slice(0, end).split("\r\n")
  socket.data.line = ""
  const [method, path, proto] = first.split(" ")
  const headers = Object.fromEntries(fields.map((field) => field.split(/:\s*(.*)/, 2)))
  const body = JSON.stringify({ path, method, proto, headers, ...factsOf(pod, protocol, socket) })
  const head = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}`
  socket.write(`${head}\r\nConnection: close\r\n\r\n${body}`)
  socket.shutdown()
}

function factsOf({ name, namespace, service }: Pod, protocol: EchoProtocol, socket: EchoSocket): object {
  const { tls } = socket.data
  const facts = socket as unknown as TlsFacts
  return {
    namespace,
    ingress: "",
    service,
    pod: name,
    tcpport: String(protocol.plainPort),
    tlsport: String(protocol.tlsPort),
    isTLS: tls,
    ...(tls
      ? {
          tls: {
            version: facts.getTLSVersion?.() ?? "",
            serverName: facts.getServername?.() || "",
            negotiatedProtocol: facts.alpnProtocol || "",
            curves: [],
            cipherSuite: facts.getCipher?.()?.name ?? "",
          },
        }
      : {}),
  }
}

/** What a server has said of itself, if this is that. */
export function readEcho(json: string): Echoed | undefined {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    return undefined
  }
  if (typeof value !== "object" || value === null) return undefined
  const { isTLS, namespace, pod, tls } = value as Record<string, unknown>
  if (typeof pod !== "string" || typeof namespace !== "string") return undefined
  const serverName = typeof tls === "object" && tls !== null ? Reflect.get(tls, "serverName") : ""
  return { namespace, pod, isTLS: isTLS === true, serverName: typeof serverName === "string" ? serverName : "" }
}

/** `<deployment>-<hash>-<id>`: the same for the same pod. */
export function podName({ podName }: EchoProtocol, deployment: string, index: number): string {
  return podName
    .replace("<deployment>", deployment)
    .replace("<hash>", letters(deployment, 9))
    .replace("<id>", letters(`${deployment} ${index}`, 5))
}

function letters(seed: string, length: number): string {
  return Bun.hash(seed).toString(36).slice(-length).padStart(length, "x")
}
