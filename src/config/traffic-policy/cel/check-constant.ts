// Constants that a function gets beside what is known only while the policy runs: patterns, networks and time zones.
import { matches } from "./functions/patterns.ts"
import { isNetwork } from "./functions/network.ts"
import { Refused } from "./functions/refused.ts"
import { checkZone } from "./functions/times.ts"
import { refill } from "./bounds.ts"
import { constantList, constantText } from "./node.ts"
import type { Seen } from "./walk.ts"
import type { CelProblem } from "./problem.ts"

/** What is wrong with them; a network that is none is a warning, since ngrok takes it for one without addresses. */
export function checkConstant(name: string, of: Seen | undefined, given: readonly Seen[]): readonly CelProblem[] {
  const last = given.at(-1)
  if (last?.isConstant !== true) return []
  const text = constantText(last.expr)
  if (name === "matches" && text !== undefined) return tried(last, () => matches("", text))
  if (/^get[A-Z]/.test(name) && of !== undefined && text !== undefined) return tried(last, () => checkZone(text))
  if (name !== "inCidrRange" && name !== "inCidrRanges") return []
  const networks = text === undefined ? (constantList(last.expr) ?? []) : [text]
  return networks
    .filter((network) => typeof network !== "string" || !isNetwork(network))
    .map((network) => ({
      ...problemAt(
        last,
        `${typeof network === "string" ? JSON.stringify(network) : "one"} is no network: no address is in it`,
      ),
      hint: "a network is written 10.0.0.0/8 or 2001:db8::/32",
      severity: "warning",
    }))
}

function tried(at: Seen, run: () => unknown): readonly CelProblem[] {
  try {
    refill()
    run()
    return []
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    return [problemAt(at, error.message)]
  }
}

function problemAt({ end, start }: Seen, message: string): CelProblem {
  return { offset: start, length: end - start, message, hint: undefined, code: "ERR_NGROK_2200", severity: "error" }
}
