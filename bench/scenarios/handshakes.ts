// TLS handshakes: ended by the gateway, which then tells a text of its own and closes; no upstream is involved.
import { certificate, missingOpenssl, type Key } from "../certificates.ts"
import type { ClientTls, Job } from "../job.ts"
import {
  aimOf,
  alternate,
  choose,
  perUnit,
  window,
  type Context,
  type Metrics,
  type Scenario,
  type Started,
} from "../scenario.ts"
import { OWN_ANSWER } from "../wire.ts"
import { CONCURRENCY, MOST_CONNECTIONS } from "./connections.ts"

interface Handshakes {
  readonly title: string
  readonly key: Key
  readonly tls: ClientTls
}

const KINDS: Readonly<Record<string, Handshakes>> = {
  "handshakes-full": {
    title: "Full handshakes of TLS 1.3 with an ECDSA certificate (P-256)",
    key: "ecdsa",
    tls: { version: "TLSv1.3", resume: false },
  },
  "handshakes-full-rsa": {
    title: "Full handshakes of TLS 1.3 with an RSA certificate of 2048 bits",
    key: "rsa",
    tls: { version: "TLSv1.3", resume: false },
  },
  "handshakes-resumed": {
    title: "Resumed handshakes of TLS 1.3",
    key: "ecdsa",
    tls: { version: "TLSv1.3", resume: true },
  },
  "handshakes-resumed-12": {
    title: "Resumed handshakes of TLS 1.2",
    key: "ecdsa",
    tls: { version: "TLSv1.2", resume: true },
  },
}

const countOf = (context: Context) => (context.quick ? 100 : 3000)
/** As many as new connections need: after fewer the JIT compilers are still at work. */
const warmUpOf = (context: Context) => (context.quick ? 50 : 16_000)

function jobOf({ task }: Started, tls: ClientTls, count: number): Job {
  return {
    kind: "connections",
    aim: { ...aimOf(task), tls },
    count,
    concurrency: CONCURRENCY,
    expect: "told",
    bytes: OWN_ANSWER.length,
  }
}

function scenario(name: string, { title, key, tls }: Handshakes): Scenario {
  return {
    name,
    title,
    unit: "handshake",
    compare: ["per_cpu", "p99"],
    goals: [
      { metric: "per_cpu", as: "ratio", to: ["nginx"], least: 0.95 },
      tls.resume ? { metric: "resumed", as: "value", least: 99 } : { metric: "resumed", as: "value", most: 0 },
    ],
    async run(context) {
      const missing = missingOpenssl()
      if (missing !== undefined) return { samples: [], left: [`everybody: ${missing}`] }
      const choice = { policy: "tell", connections: MOST_CONNECTIONS, certificate: certificate(key) } as const
      const { contenders, left } = choose(context, choice)
      const warmUp = (started: Started) => context.workers.run(jobOf(started, tls, warmUpOf(context)))
      const measure = async (started: Started): Promise<Metrics> => {
        const done = await window(context, started, jobOf(started, tls, countOf(context)))
        const { cpu, units, resumed = 0 } = done
        return { per_cpu: units / cpu, ...perUnit(done), resumed: (resumed / units) * 100 }
      }
      return { samples: await alternate(context, contenders, warmUp, measure), left }
    },
  }
}

export const handshakeScenarios: readonly Scenario[] = Object.entries(KINDS).map(([name, kind]) => scenario(name, kind))
