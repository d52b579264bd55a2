// Clients that come at a pace of their own, whatever becomes of those before them, as clients do. Each asks a greeting
// echo (see cluster.ts) one thing and leaves.
import { eventually } from "./eventually.ts"
import { connect, type Wire } from "./wire.ts"

/** client: says something at once, as HTTP does. server: waits for the greeting first, as MySQL does. */
export type SpeaksFirst = "client" | "server"

export interface Visit {
  readonly first: SpeaksFirst
  /** Its place among all visits. */
  readonly nth: number
  /** What went wrong; `undefined` while nothing has. */
  problem: string | undefined
  isOver: boolean
  readonly wire: Promise<Wire>
}

export class Pace implements Disposable {
  readonly visits: Visit[] = []
  private readonly port: number
  private readonly timer: Timer

  /** So many visits every 10 ms. */
  constructor(port: number, visits: number) {
    this.port = port
    this.timer = setInterval(() => {
      for (let i = 0; i < visits; i++) this.visit(this.visits.length % 2 === 0 ? "client" : "server")
    }, 10)
  }

  get served(): number {
    return this.visits.filter(({ isOver, problem }) => isOver && problem === undefined).length
  }

  get failed(): readonly Visit[] {
    return this.visits.filter(({ problem }) => problem !== undefined)
  }

  stop(): void {
    clearInterval(this.timer)
  }

  /** Waits no longer for those who wait. */
  async giveUp(): Promise<void> {
    this.stop()
    const waiting = this.visits.filter(({ isOver }) => !isOver)
    for (const visit of waiting)
      await visit.wire.then(
        (wire) => wire.reset(),
        // It has failed by itself.
        () => undefined,
      )
    await eventually(() => waiting.every(({ isOver }) => isOver))
  }

  [Symbol.dispose](): void {
    this.stop()
  }

  private visit(first: SpeaksFirst): void {
    const visit: Visit = {
      first,
      nth: this.visits.length,
      problem: undefined,
      isOver: false,
      wire: connect(this.port, first === "client" ? { first: "?" } : {}),
    }
    this.visits.push(visit)
    void visit.wire
      .then((wire) => (first === "client" ? asks(wire) : listens(wire)))
      .catch((error) => (visit.problem = String(error)))
      .finally(() => (visit.isOver = true))
  }
}

/** A greeting of a letter and a line feed, and its own question. */
async function asks(wire: Wire): Promise<void> {
  await wire.atLeast(3)
  wire.end()
  await wire.text()
}

async function listens(wire: Wire): Promise<void> {
  await wire.atLeast(2)
  wire.end()
  await wire.text()
}
