// What a scenario is, who takes part in it, and how they take turns: A B C, A B C, ... within one run, because what the
// machine does besides changes more from minute to minute than the systems differ.
import type { Certificate } from "./certificates.ts"
import type { Hello } from "./hello.ts"
import { cpu, cpuBetween, freePort } from "./process.ts"
import type { Done, Job } from "./job.ts"
import { start, type Policy, type Running, type System, type Task } from "./system.ts"
import { OWN, PEERS } from "./systems.ts"
import type { Workers } from "./workers.ts"

export interface Context {
  readonly workers: Workers
  readonly rounds: number
  /** As little of everything as shows that it works. */
  readonly quick: boolean
  /** Names of the peers to compare with; `undefined` for all that are installed. */
  readonly peers: readonly string[] | undefined
  say(text: string): void
}

export type Metrics = Readonly<Record<string, number>>

/** What one system did in one round. */
export interface Sample {
  readonly system: string
  readonly round: number
  readonly metrics: Metrics
}

/** What has to come out: a bound on a metric of the subject, on its ratio to the best of others, or on its difference. */
export interface Goal {
  /** Whose metric. @default the subject's */
  readonly of?: string
  readonly metric: string
  readonly as: "value" | "ratio" | "difference"
  readonly to?: readonly string[]
  readonly most?: number
  readonly least?: number
}

export interface Scenario {
  readonly name: string
  readonly title: string
  /** What is counted: connection, request, GB. */
  readonly unit: string
  /** Which metrics are compared with the others'. */
  readonly compare: readonly string[]
  /** Whose ratios are formed. @default tidegate */
  readonly subject?: string
  readonly goals: readonly Goal[]
  run(context: Context): Promise<Measured>
}

export interface Measured {
  readonly samples: readonly Sample[]
  /** Who did not take part, and why. */
  readonly left: readonly string[]
}

/** A system in a scenario; a scenario may have the same one with different tasks. */
export interface Contender {
  readonly name: string
  readonly system: System
  readonly task: Task
}

export interface Choice {
  readonly policy: Policy
  readonly connections: number
  readonly buffers?: number
  readonly names?: number
  readonly hello?: Hello
  readonly certificate?: Certificate
  /** Among those that wait by select(2), too. @default true */
  readonly few?: boolean
  readonly keep?: (system: System) => boolean
}

const CANNOT: Readonly<Record<Policy, string>> = {
  list: "does not route",
  promise: "has no code that could wait",
  timer: "has no code that could wait",
  deny: "has no list of ranges",
  answer: "has no answer of its own",
  sni: "has no look-up by name here",
  routes: "does not read Gateway API manifests",
  terminate: "does not end TLS",
  tell: "does not end TLS with an answer of its own",
  pool: "has no health checks",
}

/** Everybody who can do this task, on a free port each; and who cannot. */
export function choose(context: Context, choice: Choice): { contenders: Contender[]; left: string[] } {
  const contenders: Contender[] = []
  const left: string[] = []
  for (const system of [...OWN, ...PEERS]) {
    if (PEERS.includes(system) && context.peers?.includes(system.name) === false) continue
    if (choice.keep?.(system) === false) continue
    const why =
      system.missing() ??
      (system.policies.includes(choice.policy) ? undefined : CANNOT[choice.policy]) ??
      (choice.few === false && system.few === true ? "serves fewer connections than this takes" : undefined)
    if (why !== undefined) left.push(`${system.name}: ${why}`)
    else contenders.push({ name: nameOf(system, choice.buffers), system, task: taskOf(context, choice) })
  }
  return { contenders, left }
}

export function nameOf(system: System, buffers: number | undefined): string {
  return buffers === undefined ? system.name : `${system.name} ${buffers / 1024}k`
}

export function taskOf(context: Context, choice: Choice): Task {
  const port = freePort()
  return {
    policy: choice.policy,
    address: "127.0.0.1",
    first: port,
    last: port,
    upstream: context.workers.upstream.A,
    connections: choice.connections,
    ...(choice.buffers === undefined ? {} : { buffers: choice.buffers }),
    ...(choice.names === undefined ? {} : { names: choice.names }),
    ...(choice.hello === undefined ? {} : { hello: choice.hello }),
    ...(choice.certificate === undefined ? {} : { certificate: choice.certificate }),
  }
}

/** Everybody in turn, round after round. */
export async function inTurn<A extends { readonly name: string }>(
  context: Context,
  contenders: readonly A[],
  measure: (contender: A) => Promise<Metrics>,
): Promise<Sample[]> {
  const samples: Sample[] = []
  for (let round = 1; round <= context.rounds; round++) {
    for (const contender of contenders) {
      context.say(`round ${round} of ${context.rounds}: ${contender.name}`)
      samples.push({ system: contender.name, round, metrics: await measure(contender) })
    }
  }
  return samples
}

export interface Started extends Contender {
  readonly running: Running
}

/** Starts all, warms each up, and lets them take turns; each measurement finds the same running programs. */
export async function alternate(
  context: Context,
  contenders: readonly Contender[],
  warmUp: (started: Started) => Promise<unknown>,
  measure: (started: Started) => Promise<Metrics>,
): Promise<Sample[]> {
  const all: Started[] = []
  try {
    for (const contender of contenders) {
      context.say(`starting ${contender.name}`)
      all.push({ ...contender, running: await start(contender.system, contender.task) })
    }
    for (const started of all) {
      context.say(`warming up ${started.name}`)
      await warmUp(started)
    }
    return await inTurn(context, all, measure)
  } finally {
    await Promise.all(all.map(({ running }) => running.stop()))
  }
}

export interface Window extends Done {
  /** CPU seconds of the system. */
  readonly cpu: number
}

/** 30 ms: what is under way when the last answer has come still costs its system something. */
const SETTLE = 30

/** Runs a job against a system and reads what it spent on it. */
export async function window(context: Context, { running }: Started, job: Job): Promise<Window> {
  const before = cpu(running.program)
  const done = await context.workers.run(job)
  await Bun.sleep(SETTLE)
  return { ...done, cpu: cpuBetween(before, cpu(running.program)) }
}

/** The usual metrics of a window in which small things were counted. */
export function perUnit({ cpu, units, failed, seconds, p50, p99 }: Window): Metrics {
  return { cpu_us: (cpu / units) * 1e6, rate: units / seconds, p50, p99, units, failed }
}

export function aimOf({ address, first, last }: Task): { address: string; ports: number[] } {
  return { address, ports: Array.from({ length: last - first + 1 }, (_, i) => first + i) }
}
