// Terminated bulk: TLS to the gateway, plain text to the upstream; with buffers as they come, and with 128 KiB where
// that can be chosen. Everybody negotiates TLS 1.3 with AES-128-GCM, which the load generator insists on.
import { certificate, missingOpenssl } from "../certificates.ts"
import type { ClientTls } from "../job.ts"
import { alternate, type Scenario } from "../scenario.ts"
import type { Direction } from "../wire.ts"
import { contend, measureBulk, warmUpBulk } from "./bulk.ts"

const TLS: ClientTls = { version: "TLSv1.3", resume: false }
const NGINX = ["nginx", "nginx 128k"]

function scenario(direction: Direction, streams: number): Scenario {
  return {
    name: `terminated-bulk-${direction}-${streams}`,
    title: `Bulk ${direction} inside of TLS that the gateway ends, ${streams} stream${streams > 1 ? "s" : ""}`,
    unit: "GB",
    compare: ["gbps", "cpu_s"],
    goals: [{ metric: "cpu_s", as: "ratio", to: NGINX, most: 1.1 }],
    async run(context) {
      const missing = missingOpenssl()
      if (missing !== undefined) return { samples: [], left: [`everybody: ${missing}`] }
      const { contenders, left } = contend(context, { policy: "terminate", certificate: certificate("ecdsa") })
      const bulk = { direction, streams, tls: TLS }
      const samples = await alternate(context, contenders, warmUpBulk(context, bulk), measureBulk(context, bulk))
      return { samples, left }
    },
  }
}

export const terminatedScenarios: readonly Scenario[] = [1, 8].flatMap((streams) =>
  (["down", "up"] as const).map((direction) => scenario(direction, streams)),
)
