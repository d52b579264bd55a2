// The load generator, in its own process: does one job at a time, as asked over IPC, with a fixed number of things
// under way, and reports counts and latencies.
import { rename } from "./hello.ts"
import type { Aim, Done, Job } from "./job.ts"
import { Encrypted } from "./load-tls.ts"
import { pace } from "./load-pace.ts"
import { Progress } from "./progress.ts"
import { ANSWER_LENGTH, BLOCK, DONE, REQUEST, transferRequest } from "./wire.ts"

/** What a socket is busy with; each job has its own kind. */
interface Task {
  data(socket: Socket, bytes: number): void
  drain?(socket: Socket): void
  open?(socket: Socket): void
  /** The socket is gone, or never came because nobody would have it. */
  closed(refused: boolean): void
}
type Socket = Bun.Socket<Task>

const handlers: Bun.SocketHandler<Task> = {
  open: (socket) => socket.data.open?.(socket),
  data: (socket, chunk) => socket.data.data(socket, chunk.length),
  drain: (socket) => socket.data.drain?.(socket),
  close: (socket) => socket.data.closed(false),
  error: () => undefined,
}

/** Connections that are kept between jobs. */
const kept = new Set<Socket>()
let nextPort = 0

function connect(aim: Aim, task: Task): void {
  const port = aim.ports[nextPort++ % aim.ports.length]!
  const to = { hostname: aim.address, port, data: task }
  const connecting =
    aim.tls === undefined
      ? Bun.connect({ ...to, socket: handlers })
      : Bun.connect({ ...to, ...Encrypted.of(to, aim.tls, handlers).options })
  // A reset may come before the connection is reported: then it was accepted, and closed.
  connecting.catch((error) => task.closed(error.code !== "ECONNRESET"))
}

/** How many of the aim's connections have taken up a session so far. */
function resumptions({ address, ports, tls }: Aim): number {
  if (tls === undefined) return 0
  return ports.reduce((sum, port) => sum + Encrypted.of({ hostname: address, port }, tls, handlers).resumed, 0)
}

let nextName = 0

/** 7,919: a prime, so that neighbours among the connections are none among the names, and all have their turn. */
const STRIDE = 7919

function firstBytes({ first }: Job & { kind: "connections" }): Uint8Array {
  if (first === undefined) return REQUEST
  nextName = (nextName + STRIDE) % first.names
  return rename(first.hello, nextName)
}

/** One new connection after the other, until there is none to begin. */
class Visitor implements Task {
  private readonly progress: Progress
  private readonly job: Job & { kind: "connections" }
  private since = 0
  private got = 0
  private settled = false

  constructor(progress: Progress, job: Job & { kind: "connections" }) {
    this.progress = progress
    this.job = job
  }

  static next(progress: Progress, job: Job & { kind: "connections" }): void {
    if (!progress.begin()) return
    const visitor = new Visitor(progress, job)
    visitor.since = performance.now()
    connect(job.aim, visitor)
  }

  open(socket: Socket): void {
    if (this.job.expect === "answered") socket.write(firstBytes(this.job))
  }

  data(socket: Socket, bytes: number): void {
    this.got += bytes
    if (this.job.expect !== "answered" || this.got < this.job.bytes) return
    this.settle(true)
    socket.end()
  }

  closed(refused: boolean): void {
    this.settle(this.job.expect !== "answered" && !refused && this.got === this.job.bytes)
  }

  private settle(ok: boolean): void {
    if (this.settled) return
    this.settled = true
    if (ok) this.progress.succeed(this.since)
    else this.progress.fail()
    Visitor.next(this.progress, this.job)
  }
}

function connections(job: Job & { kind: "connections" }): Progress {
  const progress = new Progress(job.count)
  for (let i = 0; i < job.concurrency; i++) Visitor.next(progress, job)
  return progress
}

/** A kept connection: idle, asking, or trickling. */
class Keeper implements Task {
  private progress: Progress | undefined
  private socket: Socket | undefined
  private since = performance.now()
  private got = 0
  private readonly first: Uint8Array
  private readonly onOpen: ((socket: Socket) => void) | undefined

  constructor(progress: Progress, first: Uint8Array, onOpen?: (socket: Socket) => void) {
    this.progress = progress
    this.first = first
    this.onOpen = onOpen
  }

  open(socket: Socket): void {
    this.socket = socket
    kept.add(socket)
    socket.write(this.first)
    this.onOpen?.(socket)
  }

  ask(progress: Progress): void {
    this.progress = progress
    if (!progress.begin()) return
    this.got = 0
    this.since = performance.now()
    this.socket!.write(REQUEST)
  }

  data(_: Socket, bytes: number): void {
    this.got += bytes
    if (this.got < ANSWER_LENGTH || this.progress === undefined) return
    const { progress } = this
    progress.succeed(this.since)
    this.more(progress)
  }

  /** What follows an answer. */
  more(progress: Progress): void {
    this.ask(progress)
  }

  closed(): void {
    if (this.socket !== undefined) kept.delete(this.socket)
    this.progress?.fail()
    this.progress = undefined
  }
}

/** Opens the next connection when its own is answered. */
class Opener extends Keeper {
  private readonly aim: Aim
  private opened = false

  constructor(progress: Progress, aim: Aim) {
    super(progress, REQUEST)
    this.aim = aim
  }

  static next(progress: Progress, aim: Aim): void {
    if (progress.begin()) connect(aim, new Opener(progress, aim))
  }

  override more(progress: Progress): void {
    if (this.opened) return super.more(progress)
    this.opened = true
    Opener.next(progress, this.aim)
  }
}

function open(job: Job & { kind: "open" }): Progress {
  const progress = new Progress(job.count)
  for (let i = 0; i < job.concurrency; i++) Opener.next(progress, job.aim)
  return progress
}

function requests(job: Job & { kind: "requests" }): Progress {
  const progress = new Progress(job.count)
  for (const socket of kept) (socket.data as Keeper).ask(progress)
  return progress
}

/** 10 ms between the turns of slow connections, so that they do not all send at once. */
const SLICE = 10
let slowTimer: Timer | undefined

function slow(job: Job & { kind: "slow" }): Progress {
  const progress = new Progress(job.count)
  const first = transferRequest("up", Number.MAX_SAFE_INTEGER)
  const piece = BLOCK.subarray(0, job.bytes)
  const slices: Socket[][] = Array.from({ length: Math.max(1, Math.round(job.every / SLICE)) }, () => [])
  let turn = 0
  let opened = 0
  const next = () => {
    if (!progress.begin()) return
    const since = performance.now()
    const keeper = new Keeper(progress, first, (socket) => {
      slices[opened++ % slices.length]!.push(socket)
      progress.succeed(since)
      next()
    })
    connect(job.aim, keeper)
  }
  for (let i = 0; i < job.concurrency; i++) next()
  slowTimer = setInterval(() => {
    for (const socket of slices[turn++ % slices.length]!) socket.write(piece)
  }, SLICE)
  return progress
}

class Stream implements Task {
  private readonly progress: Progress
  private readonly job: Job & { kind: "bulk" }
  private readonly since = performance.now()
  private toSend: number
  private toReceive: number
  private settled = false

  constructor(progress: Progress, job: Job & { kind: "bulk" }) {
    this.progress = progress
    this.job = job
    this.toSend = job.direction === "down" ? 0 : job.bytes
    this.toReceive = (job.direction === "up" ? 0 : job.bytes) + DONE.length
  }

  open(socket: Socket): void {
    socket.write(transferRequest(this.job.direction, this.job.bytes))
    this.drain(socket)
  }

  drain(socket: Socket): void {
    while (this.toSend > 0) {
      const block = this.toSend >= BLOCK.length ? BLOCK : BLOCK.subarray(0, this.toSend)
      const taken = socket.write(block)
      if (taken > 0) this.toSend -= taken
      if (taken < block.length) return
    }
  }

  data(socket: Socket, bytes: number): void {
    this.toReceive -= bytes
    if (this.toReceive > 0) return
    this.settle(this.toReceive === 0 && this.toSend === 0)
    socket.end()
  }

  closed(): void {
    this.settle(false)
  }

  private settle(ok: boolean): void {
    if (this.settled) return
    this.settled = true
    if (ok) this.progress.succeed(this.since)
    else this.progress.fail()
  }
}

async function bulk(job: Job & { kind: "bulk" }): Promise<Done> {
  const progress = new Progress(job.streams)
  while (progress.begin()) connect(job.aim, new Stream(progress, job))
  const done = await progress.done
  const each = job.direction === "both" ? 2 * job.bytes : job.bytes
  return { ...done, units: done.units * each }
}

let streaming: Progress | undefined

function stream(job: Job & { kind: "stream" }): void {
  const visits = { ...job, kind: "connections", count: Number.MAX_SAFE_INTEGER, expect: "answered" } as const
  streaming = connections({ ...visits, bytes: ANSWER_LENGTH })
}

const NOTHING: Done = { units: 0, failed: 0, seconds: 0, p50: 0, p99: 0 }

async function perform(job: Job): Promise<Done> {
  switch (job.kind) {
    case "connections": {
      const before = resumptions(job.aim)
      const done = await connections(job).done
      return { ...done, resumed: resumptions(job.aim) - before }
    }
    case "open":
      return open(job).done
    case "requests":
      return requests(job).done
    case "slow":
      return slow(job).done
    case "bulk":
      return bulk(job)
    case "stream":
      stream(job)
      return NOTHING
    case "pace":
      return pace(job, connect)
    case "stop": {
      const stopping = streaming
      streaming = undefined
      stopping?.stop()
      return stopping?.done ?? NOTHING
    }
    case "shut": {
      clearInterval(slowTimer)
      for (const socket of kept) socket.end()
      kept.clear()
      return NOTHING
    }
  }
}

process.on("message", (job: Job) => {
  void perform(job).then((done) => process.send!(done))
})
process.on("disconnect", () => process.exit(0))
process.send!("ready")
