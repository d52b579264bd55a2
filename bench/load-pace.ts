// Clients that come at a pace of their own, whatever becomes of those before them: what fails is known by when it began.
import type { Aim, Done, Job } from "./job.ts"
import { ANSWER_LENGTH, REQUEST } from "./wire.ts"

type Socket = Bun.Socket<PacedTask>

export interface PacedTask {
  open(socket: Socket): void
  data(socket: Socket, bytes: number): void
  closed(): void
}

/** 2 ms between looks at the clock: some at a time, as they come from a network. */
const LOOK = 2

class Visitor implements PacedTask {
  readonly began = performance.now()
  private readonly pace: Pace
  private socket: Socket | undefined
  private got = 0
  isOver = false

  constructor(pace: Pace) {
    this.pace = pace
  }

  open(socket: Socket): void {
    this.socket = socket
    if (this.isOver) socket.terminate()
    else if (!this.pace.job.greeted) socket.write(REQUEST)
  }

  data(socket: Socket, bytes: number): void {
    if (this.got === 0) this.pace.firstBytes.push(performance.now() - this.began)
    this.got += bytes
    if (this.got < ANSWER_LENGTH) return
    this.settle(true)
    socket.end()
  }

  closed(): void {
    this.settle(false)
  }

  /** Waits no longer. */
  leave(): void {
    if (this.isOver) return
    this.settle(false)
    this.socket?.terminate()
  }

  private settle(ok: boolean): void {
    if (this.isOver) return
    this.isOver = true
    this.pace.settled(this, ok)
  }
}

class Pace {
  readonly job: Job & { kind: "pace" }
  readonly firstBytes: number[] = []
  private readonly connect: (aim: Aim, task: PacedTask) => void
  private readonly began = performance.now()
  private readonly failures: number[] = []
  /** In the order in which they came. */
  private readonly open: Visitor[] = []
  private readonly timer: Timer
  private readonly resolve: (done: Done) => void
  readonly done: Promise<Done>
  private started = 0
  private under = 0

  constructor(job: Job & { kind: "pace" }, connect: (aim: Aim, task: PacedTask) => void) {
    this.job = job
    this.connect = connect
    const { promise, resolve } = Promise.withResolvers<Done>()
    this.done = promise
    this.resolve = resolve
    this.timer = setInterval(() => this.look(), LOOK)
  }

  settled(visitor: Visitor, ok: boolean): void {
    this.under--
    if (!ok) this.failures.push(performance.timeOrigin + visitor.began)
  }

  private look(): void {
    const { aim, patience, rate, seconds } = this.job
    const now = performance.now()
    const elapsed = (now - this.began) / 1000
    const due = Math.floor(Math.min(elapsed, seconds) * rate)
    while (this.started < due) {
      this.started++
      this.under++
      const visitor = new Visitor(this)
      this.open.push(visitor)
      this.connect(aim, visitor)
    }
    while (this.open.length > 0 && (this.open[0]!.isOver || now - this.open[0]!.began > patience))
      this.open.shift()!.leave()
    if (elapsed > seconds && this.under === 0) this.end(elapsed)
  }

  private end(seconds: number): void {
    clearInterval(this.timer)
    const sorted = Float64Array.from(this.firstBytes).sort()
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
    const units = this.started - this.failures.length
    this.resolve({ units, failed: this.failures.length, seconds, p50: at(0.5), p99: at(0.99), failures: this.failures })
  }
}

export function pace(job: Job & { kind: "pace" }, connect: (aim: Aim, task: PacedTask) => void): Promise<Done> {
  return new Pace(job, connect).done
}
