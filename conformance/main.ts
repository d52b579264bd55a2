// `bun run conformance [folder]`: replays manifests against the real gateway and compares what its expectations file says
// with what happens.
import { readdirSync } from "node:fs"
import { join, resolve } from "node:path"
import { Addresses } from "./addresses.ts"
import { makeCertificates } from "./certificates.ts"
import { checkSample, filesOf, samples } from "./corpus.ts"
import { readExpectations, Unreadable, type Expectations } from "./expectations.ts"
import { replay, wantsAllAddresses, type Outcome, type Run } from "./replay.ts"
import { report, summary } from "./report.ts"

const USAGE = `Usage: bun run conformance [folder]

Replays the manifests of a folder against the gateway. The folder has an expectations.yaml that says what each of them
has to do, and may have the folders invalid/ and valid/ with manifests that have to be refused and taken.
Without a folder: ../shared/conformance beside the project, if it is there.
`
const DEFAULT_FOLDER = resolve(import.meta.dir, "../../shared/conformance")
const EXPECTATIONS = "expectations.yaml"
/** 2 tests at a time: one waits for its gateway while the other one's works. */
const AT_ONCE = 2
const FAILED = 1
const UNREADABLE = 2
const INTERRUPTED = 130

async function main(args: readonly string[]): Promise<number> {
  const [given, ...more] = args
  if (given === "--help" || given === "-h") {
    console.log(USAGE)
    return 0
  }
  if (more.length > 0 || given?.startsWith("-") === true) {
    console.error(USAGE)
    return UNREADABLE
  }
  if (given === undefined && !isFolder(DEFAULT_FOLDER)) {
    console.log(
      "skipped: ../shared/conformance beside the project is absent; name a folder: bun run conformance FOLDER",
    )
    return 0
  }
  const folder = given === undefined ? DEFAULT_FOLDER : resolve(given)
  if (!isFolder(folder)) throw new Unreadable(`${folder} is not a folder that can be read`)
  const over = new AbortController()
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => over.abort(new Interrupted()))
  const expectations = readExpectations(join(folder, EXPECTATIONS))
  const outcomes = await runAll(folder, expectations, over.signal)
  console.log(report(outcomes))
  for (const file of unnamed(folder, expectations)) console.log(`no test of ${EXPECTATIONS} names ${file}`)
  console.log(`\n${summary(outcomes)}`)
  return outcomes.some(({ faults }) => faults.length > 0) ? FAILED : 0
}

class Interrupted extends Error {}

function isFolder(path: string): boolean {
  try {
    readdirSync(path)
    return true
  } catch {
    return false
  }
}

async function runAll(folder: string, expectations: Expectations, signal: AbortSignal): Promise<readonly Outcome[]> {
  const certificates = await makeCertificates(expectations.certificates)
  const run: Run = { folder, expectations, certificates, addresses: new Addresses(seed()), signal, features: undefined }
  const jobs = [
    ...expectations.tests.map((test) => ({ alone: wantsAllAddresses(test, run), do: () => replay(test, run) })),
    ...samples(folder).map((sample) => ({ alone: false, do: () => checkSample(folder, sample, signal) })),
  ]
  const outcomes = await inTurns(jobs, AT_ONCE)
  const { faults } = expectations
  const own: Outcome = { name: EXPECTATIONS, passed: 0, faults, skipped: undefined, remark: undefined }
  return faults.length > 0 ? [own, ...outcomes] : outcomes
}

function seed(): number {
  return Math.floor(Math.random() * 2 ** 31)
}

interface Job<Result> {
  /** Not beside any other. */
  readonly alone: boolean
  do(): Promise<Result>
}

/** Their results in order, a few at a time. Rejects when all have ended, so that nothing is left behind. */
async function inTurns<Result>(jobs: readonly Job<Result>[], atOnce: number): Promise<readonly Result[]> {
  const results = new Map<Job<Result>, Result>()
  const together = jobs.filter(({ alone }) => !alone)
  const worker = async () => {
    for (let job = together.shift(); job !== undefined; job = together.shift()) results.set(job, await job.do())
  }
  const ended = await Promise.allSettled(Array.from({ length: atOnce }, worker))
  for (const end of ended) if (end.status === "rejected") throw end.reason
  for (const job of jobs) if (job.alone) results.set(job, await job.do())
  return jobs.map((job) => results.get(job)!)
}

/** Manifests that nobody would look at. */
function unnamed(folder: string, { tests }: Expectations): readonly string[] {
  const named = new Set(tests.flatMap(({ files }) => files))
  return filesOf(folder).filter((file) => file !== EXPECTATIONS && !named.has(file))
}

try {
  process.exit(await main(process.argv.slice(2)))
} catch (error) {
  if (error instanceof Interrupted) process.exit(INTERRUPTED)
  if (!(error instanceof Unreadable)) throw error
  console.error(`conformance: ${error.message}`)
  process.exit(UNREADABLE)
}
