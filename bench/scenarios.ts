// All scenarios, in the order in which they run.
import type { Scenario } from "./scenario.ts"
import { bulkScenarios } from "./scenarios/bulk.ts"
import { connectionScenarios } from "./scenarios/connections.ts"
import { flood } from "./scenarios/flood.ts"
import { handshakeScenarios } from "./scenarios/handshakes.ts"
import { idle } from "./scenarios/idle.ts"
import { listeners } from "./scenarios/listeners.ts"
import { manifestScenarios } from "./scenarios/manifests.ts"
import { micro } from "./scenarios/micro.ts"
import { poolFailures } from "./scenarios/pool-failures.ts"
import { profile } from "./scenarios/profile.ts"
import { reload } from "./scenarios/reload.ts"
import { requests } from "./scenarios/requests.ts"
import { save } from "./scenarios/save.ts"
import { slow } from "./scenarios/slow.ts"
import { sniScenarios } from "./scenarios/sni.ts"
import { startup } from "./scenarios/startup.ts"
import { syscalls } from "./scenarios/syscalls.ts"
import { terminatedScenarios } from "./scenarios/terminated.ts"

export const SCENARIOS: readonly Scenario[] = [
  ...connectionScenarios,
  requests,
  ...bulkScenarios,
  ...sniScenarios,
  ...manifestScenarios,
  ...handshakeScenarios,
  ...terminatedScenarios,
  idle,
  listeners,
  reload,
  save,
  startup,
  slow,
  flood,
  poolFailures,
  syscalls,
  micro,
  profile,
]

/** The scenarios of a name; `bulk` means all that begin with it. */
export function named(name: string): readonly Scenario[] {
  return SCENARIOS.filter((each) => each.name === name || each.name.startsWith(`${name}-`))
}
