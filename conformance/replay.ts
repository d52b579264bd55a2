// One test: its manifests, the cluster around them, a gateway, and everything that is expected of it.
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { NoAddress, type Addresses } from "./addresses.ts"
import type { Certificate } from "./certificates.ts"
import type { Check, DistributionCheck, ObjectCheck, ProbeCheck } from "./checks.ts"
import { CLASS, makeCluster } from "./cluster.ts"
import { Unreadable, type Expectations, type Test } from "./expectations.ts"
import { GatewayEnded, startGateway, type Gateway } from "./gateway.ts"
import { list, Manifests, record } from "./manifest.ts"
import { giveAddresses, type Given } from "./places.ts"
import { distributionFault, probeFault, probeTitle, type Scene } from "./probes.ts"
import { NothingToRemove, remove } from "./removal.ts"
import { rewriteListeners } from "./rewrite.ts"
import { temporaryFolder } from "./temporary.ts"
import { objectFault, readStatuses, supportedFeatures, titleOf, type Shown } from "./statuses.ts"

/** What all tests of a run share. */
export interface Run {
  readonly folder: string
  readonly expectations: Expectations
  readonly certificates: readonly Certificate[]
  readonly addresses: Addresses
  readonly signal: AbortSignal
  /** Known from the first gateway on. */
  features: readonly string[] | undefined
}

export interface Outcome {
  readonly name: string
  readonly passed: number
  readonly faults: readonly string[]
  /** Why there was nothing to test. */
  readonly skipped: string | undefined
  /** What was done that one might not expect. */
  readonly remark: string | undefined
}

/** 30 s for a test, whatever happens. */
const DEADLINE = 30_000
/** 5 s until a status says what is expected, and until a connection does. */
const PATIENCE = 5000
const LOOK_EVERY = 50

/** The test cannot be made here. */
class Skipped extends Error {}

/** Whether a Gateway of it wants to listen on every address: nobody else can have its ports meanwhile. */
export function wantsAllAddresses({ files, namespace }: Test, { folder }: Run): boolean {
  try {
    const gateways = Manifests.read(folder, files, CLASS, namespace).ofKind("Gateway")
    const addresses = gateways.flatMap(({ value }) => list(record(value["spec"])["addresses"]))
    return addresses.some(({ value }) => value === undefined || value === "")
  } catch (error) {
    // What cannot be read is told by the test.
    if (error instanceof Unreadable) return false
    throw error
  }
}

/** Replays a test. Rejects only when the whole run is over. */
export async function replay(test: Test, run: Run): Promise<Outcome> {
  const faults = [...test.faults]
  const progress = { passed: 0, remark: undefined as string | undefined }
  const outcome = (skipped?: string): Outcome => ({ name: test.name, faults, skipped, ...progress })
  const signal = AbortSignal.any([run.signal, AbortSignal.timeout(DEADLINE)])
  try {
    checkFeatures(test, run.features)
    await replaySteps(test, run, signal, progress, faults)
    return outcome()
  } catch (error) {
    run.signal.throwIfAborted()
    if (error instanceof Skipped) return outcome(error.message)
    if (signal.aborted) faults.push(`not done after ${DEADLINE / 1000} s`)
    else if (isFault(error)) faults.push(error.message)
    else throw error
    return outcome()
  }
}

function isFault(error: unknown): error is Error {
  const kinds = [Unreadable, GatewayEnded, NothingToRemove, NoAddress]
  return kinds.some((kind) => error instanceof kind)
}

async function replaySteps(
  written: Test,
  run: Run,
  signal: AbortSignal,
  progress: { passed: number; remark: string | undefined },
  faults: string[],
): Promise<void> {
  const { addresses, certificates, expectations } = run
  if (written.steps.length === 0) return
  const manifests = Manifests.read(run.folder, written.files, CLASS, written.namespace)
  const { remark, test } = rewriteListeners(written, manifests)
  progress.remark = remark
  const given = orSkip(() => giveAddresses(manifests, addresses))
  using cluster = orSkip(() => makeCluster(manifests, expectations, certificates, addresses))
  using folder = temporaryFolder()
  const policies = join(folder.path, "policies")
  mkdirSync(policies, { mode: 0o755 })
  put(policies, "replayed-cluster.yaml", documents(cluster.objects))
  for (const [file, text] of manifests.texts()) put(policies, file, text)
  const writtenAt = performance.now()
  await using gateway = await startGateway(policies, folder.path, signal)
  const first = readStatuses(await gateway.status())
  run.features ??= supportedFeatures(first, CLASS)
  checkFeatures(test, run.features)
  if (test.extra !== undefined) {
    await pause(test.extra.after - (performance.now() - writtenAt), signal)
    put(policies, "replayed-extra.yaml", documents([test.extra.object]))
  }
  const trust = { certificates, ofBackends: cluster.fingerprints }
  const scene = { manifests, cluster, trust, protocol: expectations.echo, signal }
  for (const [i, step] of test.steps.entries()) {
    if (step.remove !== undefined) takeAway(step.remove, manifests, given, policies)
    const found = await checkAll(step.checks, test, gateway, scene)
    progress.passed += step.checks.length - found.length
    const title = test.steps.length === 1 ? "" : `step ${i + 1}: `
    faults.push(...found.map((fault) => `${title}${fault}`))
  }
}

function checkFeatures({ needs, unless }: Test, features: readonly string[] | undefined): void {
  if (features === undefined) return
  const had = unless.find((feature) => features.includes(feature))
  if (had !== undefined) throw new Skipped(`only for gateways without ${had}, which is supported`)
  const missing = needs.find((feature) => !features.includes(feature))
  if (missing !== undefined) throw new Skipped(`only for gateways with ${missing}, which is not supported`)
}

/** What lacks rights is nobody's fault. */
function orSkip<Made>(make: () => Made): Made {
  try {
    return make()
  } catch (error) {
    if (error instanceof NoAddress && error.message.includes("EACCES")) throw new Skipped(error.message)
    throw error
  }
}

function takeAway(text: string, manifests: Manifests, given: Given, policies: string): void {
  remove(text, manifests, given)
  for (const [file, changed] of manifests.texts()) {
    // An empty file would be a slip of the hand: what it served would go on.
    if (changed === "") rmSync(join(policies, file), { force: true })
    else put(policies, file, changed)
  }
}

/** All at once, so that no half of it is ever read. */
function put(policies: string, file: string, text: string): void {
  const draft = join(policies, `.${file}.draft`)
  writeFileSync(draft, text, { mode: 0o600 })
  renameSync(draft, join(policies, file))
}

/** JSON is YAML as well. */
function documents(objects: readonly unknown[]): string {
  return objects.map((object) => `${JSON.stringify(object, undefined, 2)}\n`).join("---\n")
}

/** The statuses first, then the connections: what goes wrong. */
async function checkAll(
  checks: readonly Check[],
  test: Test,
  gateway: Gateway,
  scene: Scene,
): Promise<readonly string[]> {
  const objects = checks.filter((check) => check.about === "object")
  const { faults, shown } = await checkObjects(objects, test, gateway, scene)
  for (const check of checks) {
    if (check.about === "object") continue
    const fault = await checkConnections(check, scene, shown)
    if (fault !== undefined) faults.push(`${probeTitle(check)}: ${fault}`)
  }
  return faults
}

async function checkObjects(
  checks: readonly ObjectCheck[],
  { namespace }: Test,
  gateway: Gateway,
  { manifests, signal }: Scene,
): Promise<{ readonly faults: string[]; readonly shown: readonly Shown[] }> {
  const until = performance.now() + PATIENCE
  for (;;) {
    const shown = readStatuses(await gateway.status())
    const objects = manifests.objects()
    const faults = checks.flatMap((check) => {
      const fault = objectFault(check, shown, namespace, objects)
      return fault === undefined ? [] : [`${titleOf(check)}: ${fault}`]
    })
    if (faults.length === 0 || performance.now() > until) return { faults, shown }
    await pause(LOOK_EVERY, signal)
  }
}

async function checkConnections(
  check: ProbeCheck | DistributionCheck,
  scene: Scene,
  shown: readonly Shown[],
): Promise<string | undefined> {
  const until = performance.now() + PATIENCE
  for (let attempt = 1; ; attempt++) {
    const fault =
      check.about === "probe" ? await probeFault(check, scene, shown) : await distributionFault(check, scene, shown)
    const isOver = check.about === "probe" ? performance.now() > until : attempt >= check.attempts
    if (fault === undefined || isOver) return fault
    await pause(LOOK_EVERY, scene.signal)
  }
}

/** Rejects when the signal comes first. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, Math.max(milliseconds, 0))
  const abort = () => reject(signal.reason)
  signal.addEventListener("abort", abort, { once: true })
  try {
    await promise
  } finally {
    clearTimeout(timer)
    signal.removeEventListener("abort", abort)
  }
}
