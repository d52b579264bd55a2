// Names of a DNS server of this process, which says what the test wants to be true now: well, badly, late or not at all.
import type { Answer } from "dns-packet"
import { eventually } from "./eventually.ts"
import { fakeDns, soa, type Asked, type FakeDns, type Replies } from "./fake-dns.ts"

/** `held`: it answers once it is in another mood again. */
export type Mood = "well" | "servfail" | "nxdomain" | "garbage" | "silent" | "held"

export interface Zone extends Disposable {
  /** As a setting: `127.0.0.1:port`. */
  readonly server: string
  readonly asked: readonly Asked[]
  mood: Mood
  /** Replaces everything that there is. What there is not is not for a second. */
  set(...records: Answer[]): void
  /** Stops the server: nobody listens there. */
  stop(): void
  /** Starts it again on the same port. */
  start(): Promise<void>
}

const SERVFAIL = 2
const NXDOMAIN = 3

export async function startZone(...first: Answer[]): Promise<Zone> {
  const held: (() => void)[] = []
  let records: readonly Answer[] = first
  let mood: Mood = "well"
  const asked: Asked[] = []
  const answer = async (one: Asked): Promise<Replies> => {
    asked.push(one)
    const { id, name, type } = one
    if (mood === "held") await new Promise<void>((resolve) => held.push(resolve))
    if (mood === "silent") return undefined
    if (mood === "servfail") return { rcode: SERVFAIL }
    // From the one who was asked, and otherwise nothing that could be read.
    if (mood === "garbage") return Uint8Array.of(id >> 8, id & 255, 0x81, 0x80, ...Array<number>(60).fill(255))
    const authorities = [soa("example.test", 1)]
    const named = mood === "nxdomain" ? [] : records.filter((record) => record.name === name)
    if (named.length === 0) return { rcode: NXDOMAIN, authorities }
    const answers = named.filter((record) => record.type === type)
    return answers.length === 0 ? { authorities } : { answers }
  }
  let running: FakeDns | undefined = await fakeDns(answer)
  const { port, server } = running
  const stop = () => {
    running?.[Symbol.dispose]()
    running = undefined
  }
  return {
    server,
    asked,
    get mood() {
      return mood
    },
    set mood(now) {
      mood = now
      for (const resolve of held.splice(0)) resolve()
    },
    set(...now) {
      records = now
    },
    stop,
    start: () =>
      // Somebody else may have the port for a moment.
      eventually(async () => {
        running = await fakeDns(answer, port).catch(() => undefined)
        return running !== undefined
      }),
    [Symbol.dispose]: stop,
  }
}
