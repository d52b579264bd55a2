// One end of a TCP or unix connection with a promise API, the same for clients and for what an upstream accepts.
// Half-open: a FIN is reported, and the own direction goes on until `end()`.

type Socket = Bun.Socket<Wire>

export interface WireOptions {
  /** Sent as soon as it is connected, before anything else happens. */
  readonly first?: string | Uint8Array
  /** Reads nothing until `resume()`. */
  readonly paused?: boolean
  /** Called instead of keeping the bytes. */
  readonly onData?: (chunk: Uint8Array) => void
}

interface Wait {
  readonly ready: () => boolean
  readonly resolve: () => void
}

export class Wire implements Disposable {
  socket: Socket | undefined = undefined
  /** Bytes read. */
  received = 0
  /** Bytes that the kernel took. */
  written = 0
  /** The other end's FIN was read. */
  ended = false
  closed = false
  /** The error's code, once closed by one. */
  code: string | undefined = undefined
  onData: ((chunk: Uint8Array) => void) | undefined
  readonly paused: boolean
  /** A write met the reset: Bun tells of that as if it were a FIN. */
  private writeFailed = false
  private readonly first: string | Uint8Array | undefined
  private readonly chunks: Uint8Array[] = []
  private waits: Wait[] = []

  constructor(options: WireOptions = {}) {
    this.onData = options.onData
    this.first = options.first
    this.paused = options.paused === true
  }

  static readonly handlers: Bun.SocketHandler<Wire, "uint8array"> = {
    binaryType: "uint8array",
    open(socket) {
      const wire = socket.data
      wire.socket = socket
      if (wire.paused) socket.pause()
      if (wire.first !== undefined) wire.written += socket.write(wire.first)
    },
    data(socket, chunk) {
      const wire = socket.data
      wire.received += chunk.length
      if (wire.onData === undefined) wire.chunks.push(chunk)
      else wire.onData(chunk)
      wire.changed()
    },
    drain(socket) {
      socket.data.changed()
    },
    end(socket) {
      const wire = socket.data
      if (!wire.writeFailed) wire.ended = true
      wire.changed()
    },
    close(socket, error) {
      const wire = socket.data
      wire.closed = true
      wire.code = (error as { code?: string } | undefined)?.code ?? (wire.writeFailed ? "ECONNRESET" : undefined)
      if (wire.code === undefined) wire.ended = true
      wire.changed()
    },
    error() {
      // Reported by `close`, with its code.
    },
  }

  /** Resolves as soon as the condition holds; it is looked at after every event of this wire. */
  until(ready: () => boolean): Promise<void> {
    if (ready()) return Promise.resolve()
    return new Promise((resolve) => this.waits.push({ ready, resolve }))
  }

  /** Everything that came, once the other end has sent its FIN or is gone. */
  async bytes(): Promise<Uint8Array> {
    await this.until(() => this.ended || this.closed)
    return this.soFar()
  }

  async text(): Promise<string> {
    return new TextDecoder().decode(await this.bytes())
  }

  soFar(): Uint8Array {
    return Buffer.concat(this.chunks)
  }

  /** At least `n` bytes; fails when the other end stops before. */
  async atLeast(n: number): Promise<Uint8Array> {
    await this.until(() => this.received >= n || this.ended || this.closed)
    if (this.received < n) throw new Error(`${this.received} of ${n} bytes came (${this.code ?? "FIN"})`)
    return this.soFar()
  }

  /** How the other end stops: `"FIN"`, or the code of the error. */
  async stops(): Promise<string> {
    await this.until(() => this.ended || this.closed)
    return this.code ?? "FIN"
  }

  /** How it is closed in both directions: `"FIN"`, or the code of the error. */
  async closes(): Promise<string> {
    await this.until(() => this.closed)
    return this.code ?? "FIN"
  }

  /** Resolves when the kernel has taken everything; fails when the connection closes before. */
  async write(data: string | Uint8Array): Promise<void> {
    let rest = typeof data === "string" ? new TextEncoder().encode(data) : data
    while (rest.length > 0) {
      const taken = this.closed ? -1 : this.socket!.write(rest)
      if (taken < 0) {
        this.writeFailed ||= !this.closed
        throw new Error(`closed before ${rest.length} bytes were written`)
      }
      this.written += taken
      rest = rest.subarray(taken)
      if (rest.length === 0) return
      await this.event()
    }
  }

  /**
   * Writes the same over and over, for as long as it is taken. A loop of {@link write} that asks for `closed` instead
   * would never end: a write that meets a reset fails before the event that tells of it, which waits for this process to
   * wait.
   */
  async pour(block: Uint8Array): Promise<void> {
    try {
      for (;;) await this.write(block)
    } catch {
      // It is over.
    }
  }

  /** The next thing that happens to it. */
  event(): Promise<void> {
    return new Promise((resolve) => this.waits.push({ ready: () => true, resolve }))
  }

  /** FIN; the other direction stays. */
  end(): void {
    this.socket!.shutdown()
  }

  /** RST. */
  reset(): void {
    this.socket!.terminate()
  }

  pause(): void {
    this.socket!.pause()
  }

  resume(): void {
    this.socket!.resume()
  }

  get fd(): number {
    return (this.socket as unknown as { readonly fd: number }).fd
  }

  [Symbol.dispose](): void {
    if (!this.closed) this.socket?.terminate()
  }

  private changed(): void {
    const ready = this.waits.filter((wait) => wait.ready())
    if (ready.length === 0) return
    this.waits = this.waits.filter((wait) => !ready.includes(wait))
    for (const wait of ready) wait.resolve()
  }
}

/** Where to connect: a port of 127.0.0.1, an address and a port, or a unix path. */
export type Where = number | { readonly hostname: string; readonly port: number } | { readonly unix: string }

/** A client. Fails when nobody listens. */
export async function connect(where: Where, options: WireOptions = {}): Promise<Wire> {
  const wire = new Wire(options)
  const at = typeof where === "number" ? { hostname: "127.0.0.1", port: where } : where
  const socketOptions = { ...at, socket: Wire.handlers, data: wire, allowHalfOpen: true }
  await Bun.connect(socketOptions as unknown as Bun.TCPSocketConnectOptions<Wire>)
  return wire
}
