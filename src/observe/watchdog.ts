// Ends the process when a policy holds the event loop for ever, which nothing inside the loop can notice. A second
// thread counts the loop's heartbeats; contracts.md has the promise. Per call of a policy it costs two stores.

/** The exit code of a gateway whose loop was stuck: EX_SOFTWARE of sysexits.h, so that supervisors start it again. */
export const STUCK_EXIT_CODE = 70
/** 5 seconds: the longest a policy may wait anyway, and far beyond any garbage collection. */
const STUCK_AFTER_MS = 5000
/** The thread's own clock is its ticks: a stopped or suspended process has none, and does not come back stuck. */
const TICK_MS = 500
const HEARTBEAT_MS = 1000

/** Places in the memory that both threads share. */
export const BEATS = 0
export const DECIDING = 1
export const LAST = 2
export const LOADING = 3
const PLACES = 4

/** What the thread is told. */
export type Told =
  | {
      readonly tell: "start"
      readonly shared: Int32Array
      readonly ticks: number
      readonly tickMs: number
      readonly json: boolean
    }
  | { readonly tell: "name"; readonly id: number; readonly file: string }
  | { readonly tell: "forget"; readonly id: number }

export interface WatchdogOptions {
  /** How the last words on stderr look. @default "pretty" */
  readonly format?: "json" | "pretty"
  /** Milliseconds until the loop counts as stuck. @default 5000 */
  readonly after?: number
  /** Called when the thread cannot run: the gateway goes on without it. */
  readonly failed?: (message: string) => void
}

export class Watchdog {
  private readonly shared = new Int32Array(new SharedArrayBuffer(PLACES * Int32Array.BYTES_PER_ELEMENT))
  /** None under a debugger: a breakpoint looks like a stuck loop. */
  private readonly worker: Worker | undefined
  private readonly heartbeat: ReturnType<typeof setInterval>
  private readonly ids = new Map<string, number>()
  private lastId = 0

  constructor(options: WatchdogOptions = {}) {
    this.heartbeat = setInterval(() => this.shared[BEATS]!++, HEARTBEAT_MS)
    this.heartbeat.unref()
    if (process.execArgv.some((argument) => argument.startsWith("--inspect"))) return
    this.worker = new Worker(new URL("./watchdog-thread.ts", import.meta.url).href, { smol: true, ref: false })
    this.worker.addEventListener("error", (event) => {
      event.preventDefault()
      options.failed?.(event.message)
    })
    // The last heartbeat may be as old as its interval when the loop gets stuck.
    const ticks = Math.ceil(((options.after ?? STUCK_AFTER_MS) + HEARTBEAT_MS) / TICK_MS)
    this.tell({ tell: "start", shared: this.shared, ticks, tickMs: TICK_MS, json: options.format === "json" })
  }

  /** The id of a policy file, for `enter`, `loading` and `forget`; every version of the file has the same. */
  register(file: string): number {
    const known = this.ids.get(file)
    if (known !== undefined) return known
    const id = ++this.lastId
    this.ids.set(file, id)
    this.tell({ tell: "name", id, file })
    return id
  }

  /** The file is gone for good, and so is its id. */
  forget(id: number): void {
    for (const [file, each] of this.ids) if (each === id) this.ids.delete(file)
    this.tell({ tell: "forget", id })
  }

  /** A policy is about to run. */
  enter(id: number): void {
    this.shared[LAST] = id
    this.shared[DECIDING] = id
  }

  /** It returned, or threw; what it left waiting goes on in the loop. */
  leave(): void {
    this.shared[DECIDING] = 0
  }

  /** A file is being evaluated; `loaded` says that this is over. Thousands of files are thousands of signs of life. */
  loading(id: number): void {
    this.shared[BEATS]!++
    this.shared[LOADING] = id
  }

  loaded(): void {
    this.shared[BEATS]!++
    this.shared[LOADING] = 0
  }

  /** Ends the thread. */
  close(): void {
    clearInterval(this.heartbeat)
    this.worker?.terminate()
  }

  private tell(told: Told): void {
    this.worker?.postMessage(told, [])
  }
}
