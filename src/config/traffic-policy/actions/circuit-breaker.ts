// `circuit-breaker`, beyond ngrok at layer 4, with the fields of its HTTP action: while too many connections that came past
// this action do not reach their upstream, others are closed at once. A pool has ejection for one target; this is for all
// that a rule leads to.
import { deny } from "../../../policy/decision.ts"
import type { ActionKind } from "../action.ts"
import { circuitOf, watch } from "./breaker.ts"

/** ngrok's default and range of both times. */
const TIME = { otherwise: 10_000, from: 1000, to: 120_000 }
/** ngrok's. */
const VOLUME = { otherwise: 10, from: 1, to: 2_000_000_000 }
const ERRORS = { otherwise: 0.5, from: 0, to: 1 }
/** ngrok's one value. */
const BUCKETS = 10

export const circuitBreaker: ActionKind = {
  type: "circuit-breaker",
  read(fields, { title }) {
    const options = {
      errorThreshold: fields.number("error_threshold", ERRORS) ?? ERRORS.otherwise,
      volumeThreshold: fields.whole("volume_threshold", VOLUME) ?? VOLUME.otherwise,
      window: fields.duration("window_duration", TIME, "10s") ?? TIME.otherwise,
      tripped: fields.duration("tripped_duration", TIME, "10s") ?? TIME.otherwise,
    }
    fields.whole("num_buckets", { from: BUCKETS, to: BUCKETS })
    const enforce = fields.flag("enforce", true)
    return {
      type: "circuit-breaker",
      decides: "never",
      programs: [],
      compile(making) {
        making.watch()
        const circuit = circuitOf(making.id, options)
        const isRead = making.isRead("circuit_breaker")
        const refusal = deny(`circuit-breaker: ${title}: too many connections have failed (ERR_NGROK_3202)`)
        return (run) => {
          const now = performance.now()
          const isOpen = circuit.isOpen(now)
          if (isRead) {
            const error = isOpen ? { code: "ERR_NGROK_3202", message: refusal.reason } : { code: "", message: "" }
            run.facts.setResult("circuit_breaker", { tripped: isOpen, error })
          }
          if (isOpen && enforce) return refusal
          if (run.visit.connection.dryRun) return undefined
          circuit.passed(now)
          watch(run.visit.connection.id, circuit)
          return undefined
        }
      },
    }
  },
}
