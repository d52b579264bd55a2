// Targets of a pool that fail on purpose and recover, each on a port of its own that it keeps: TCP servers that greet with
// their name and echo.
import { closeDescriptor, connectTcp, duplicate, listenTcp, localName, setBacklog } from "../../src/native/socket.ts"
import { Wire } from "./wire.ts"

const LOOPBACK = 0x7f000001
const BACKLOG = 511
const KEEP_ALIVE = { idle: 60, interval: 15, count: 5, userTimeout: 0 }
/** Below the ports that the kernel gives out: nobody gets one by chance while its target is stopped. */
const PORTS = { first: 10_000, count: 20_000 }

export class FakeTarget implements Disposable {
  readonly name: string
  readonly port: number
  /** Connections accepted so far. */
  accepted = 0
  private readonly wires = new Set<Wire>()
  /** Listens; `undefined` while it is stopped. */
  private fd: number | undefined
  private server: Bun.TCPSocketListener<Wire> | undefined = undefined
  /** Takes the last place in the queue of a target that is stalled. */
  private filler: number | undefined = undefined
  private readonly fillers = new Set<number>()
  private resets = false
  private delay = 0

  constructor(name: string) {
    this.name = name
    const found = listenSomewhere()
    this.fd = found.fd
    this.port = found.port
    this.serve()
  }

  get url(): string {
    return `tcp://127.0.0.1:${this.port}`
  }

  /** Connections that it has now. */
  get open(): number {
    return this.wires.size
  }

  /** Greets and echoes: what it does from the start, and again after any of the others. */
  serve(): void {
    this.resets = false
    this.delay = 0
    this.accept()
  }

  /** Everything that it says comes this much later. Connecting takes no longer: that is the kernel's. */
  slow(milliseconds: number): void {
    this.serve()
    this.delay = milliseconds
  }

  /** Resets each connection as soon as it has accepted it; those that it has are left alone. */
  reset(): void {
    this.serve()
    this.resets = true
  }

  /** Crashes: connections are reset, and who connects is refused. */
  stop(): void {
    this.pause()
    if (this.fd !== undefined) closeDescriptor(this.fd)
    this.fd = undefined
    for (const wire of this.wires) wire.reset()
  }

  /**
   * Hangs: it reads nothing and accepts nothing. Who connects waits in the queue and hears nothing, as many as there is
   * room for; after these the kernel answers nobody. Those that wait are greeted when it serves again.
   * @param room at most 511
   */
  stall(room = 0): void {
    this.pause()
    this.fd ??= listenOn(this.port)
    for (const wire of this.wires) wire.pause()
    // A queue holds one more than it is said to.
    setBacklog(this.fd, Math.max(0, room - 1))
    if (room > 0) return
    this.filler = connectTcp("IPv4", LOOPBACK, 0, 0, 0, this.port)
    this.fillers.add(localName(this.filler)!.port)
  }

  [Symbol.dispose](): void {
    this.stop()
  }

  private accept(): void {
    if (this.server !== undefined) return
    this.dropFiller()
    this.fd ??= listenOn(this.port)
    const { open, close, ...handlers } = Wire.handlers
    const options = {
      fd: duplicate(this.fd),
      allowHalfOpen: true,
      socket: {
        ...handlers,
        open: (socket: Bun.Socket<Wire>) => {
          socket.data = new Wire()
          open!(socket)
          this.greet(socket.data)
        },
        close: (socket: Bun.Socket<Wire>, error?: Error) => {
          this.wires.delete(socket.data)
          close!(socket, error)
        },
      },
    }
    this.server = Bun.listen<Wire>(options as unknown as Bun.TCPSocketListenOptions<Wire>)
    for (const wire of this.wires) wire.resume()
  }

  private greet(wire: Wire): void {
    if (this.fillers.delete(wire.socket!.remotePort)) return wire.reset()
    this.accepted++
    if (this.resets) return wire.reset()
    this.wires.add(wire)
    let said = this.say(wire, `${this.name}\n`)
    wire.onData = (chunk) => (said = said.then(() => this.say(wire, chunk)))
    void wire
      .until(() => wire.ended || wire.closed)
      .then(() => said)
      .then(() => wire.closed || wire.end())
  }

  private async say(wire: Wire, words: string | Uint8Array): Promise<void> {
    if (this.delay > 0) await Bun.sleep(this.delay)
    // Nobody is left to say it to.
    if (!wire.closed) await wire.write(words).catch(() => undefined)
  }

  /** Accepts no more; the queue stays. */
  private pause(): void {
    this.dropFiller()
    this.server?.stop()
    this.server = undefined
  }

  private dropFiller(): void {
    if (this.filler !== undefined) closeDescriptor(this.filler)
    this.filler = undefined
  }
}

function listenOn(port: number): number {
  const at = { family: "IPv4", a: LOOPBACK, b: 0, c: 0, d: 0, port, bothFamilies: false } as const
  return listenTcp(at, BACKLOG, KEEP_ALIVE, [])
}

function listenSomewhere(): { fd: number; port: number } {
  for (let left = 100; ; left--) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count)
    try {
      return { fd: listenOn(port), port }
    } catch (error) {
      // Somebody has it: another one.
      if (left === 0) throw error
    }
  }
}

export interface Cluster extends Disposable {
  readonly targets: readonly FakeTarget[]
  readonly urls: readonly string[]
}

/** As many targets, called a, b, c, ... */
export function cluster(count: number): Cluster {
  const targets = Array.from({ length: count }, (_, i) => new FakeTarget(String.fromCharCode(97 + i)))
  return {
    targets,
    urls: targets.map(({ url }) => url),
    [Symbol.dispose]() {
      for (const target of targets) target[Symbol.dispose]()
    },
  }
}
