// The expectations file of a folder: what a replay has to supply, and what each test expects. It alone decides what is
// looked at; what it says and we do not understand is a fault of the test that says it.
import { readFileSync } from "node:fs"
import { diagnostic, renderDiagnostic } from "../src/config/diagnostic.ts"
import { readYaml, type YamlDocument } from "../src/config/yaml.ts"
import { CHECK_KEYS, readChecks, type Check } from "./checks.ts"
import { readExtra, type Extra } from "./extra.ts"
import { Misread, Value } from "./reading.ts"
import { NAMESPACE, readSupplies, SUPPLY_KEYS, type Supplies } from "./supplies.ts"

export interface Expectations extends Supplies {
  readonly tests: readonly Test[]
  /** Mistakes that belong to no test. */
  readonly faults: readonly string[]
}

export interface Test {
  readonly name: string
  /** Manifests, by their names in the folder. */
  readonly files: readonly string[]
  /** Of objects that are named without one. */
  readonly namespace: string
  /** With one of these features there is nothing to test. */
  readonly unless: readonly string[]
  /** Without one of these features there is nothing to test. */
  readonly needs: readonly string[]
  readonly extra: Extra | undefined
  readonly steps: readonly Step[]
  /** Mistakes in its text. */
  readonly faults: readonly string[]
}

export interface Step {
  /** Says in words what is taken out of the manifests before the checks. */
  readonly remove: string | undefined
  readonly checks: readonly Check[]
}

/** The file cannot be taken at all. */
export class Unreadable extends Error {}

/** Said for people only. */
const REMARKS = ["note", "description", "provisional"]
const CONDITIONS = ["onlyIfUnsupported", "onlyIfSupported", "features"]
const TEST_KEYS = ["name", "file", "files", "namespace", ...CONDITIONS, "extra", "steps", ...REMARKS, ...CHECK_KEYS]
const STEP_KEYS = ["remove", ...REMARKS, ...CHECK_KEYS]

/** @throws Unreadable, with places */
export function readExpectations(path: string): Expectations {
  const { documents, problems } = readYaml(path, textOf(path))
  if (problems.length > 0) throw new Unreadable(problems.map((problem) => renderDiagnostic(problem)).join("\n"))
  const [document, second] = documents
  if (document === undefined) throw at({ path, line: 1 }, "there is nothing in it")
  if (second !== undefined) throw at(second.place([]), "there is a second document; expected one")
  const faults: string[] = []
  try {
    return { ...readFile(document, faults), faults }
  } catch (error) {
    if (error instanceof Misread) throw at(document.place(error.path), error.plain)
    throw error
  }
}

function at(place: ReturnType<YamlDocument["place"]>, message: string): Unreadable {
  return new Unreadable(renderDiagnostic(diagnostic(place, message)))
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch (error) {
    throw new Unreadable(`${path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function readFile(document: YamlDocument, faults: string[]): Omit<Expectations, "faults"> {
  const file = new Value(document, (fault) => faults.push(fault))
  const fields = file.known([...SUPPLY_KEYS, ...REMARKS, "tests"])
  const tests = fields.get("tests")
  if (tests === undefined) throw file.fail("there are no `tests`")
  return { ...readSupplies(fields), tests: tests.items().map(readTest) }
}

/** Who it is has to be readable, or there is no test to blame for the rest. */
function readTest(entry: Value): Test {
  const faults: string[] = []
  const own = entry.heardBy((fault) => faults.push(fault))
  const fields = own.known(TEST_KEYS)
  const name = fields.get("name")?.text()
  const files = (fields.get("file") ?? fields.get("files"))?.texts()
  if (name === undefined || files === undefined) throw entry.fail("a test needs a `name` and a `file`")
  const head = { name, files, faults }
  try {
    return { ...head, ...readRest(own, fields) }
  } catch (error) {
    if (!(error instanceof Misread)) throw error
    faults.push(error.message)
    return { ...head, namespace: NAMESPACE, unless: [], needs: [], extra: undefined, steps: [] }
  }
}

function readRest(test: Value, fields: ReadonlyMap<string, Value>): Omit<Test, "name" | "files" | "faults"> {
  const namespace = fields.get("namespace")?.text() ?? NAMESPACE
  const extra = fields.get("extra")
  const needs = [fields.get("onlyIfSupported"), fields.get("features")]
  const first: Step = { remove: undefined, checks: readChecks(fields) }
  const further = (fields.get("steps")?.items() ?? []).map((step): Step => {
    const inner = step.known(STEP_KEYS)
    return { remove: inner.get("remove")?.text(), checks: readChecks(inner) }
  })
  const steps = [...(first.checks.length > 0 ? [first] : []), ...further]
  if (steps.length === 0) throw test.fail("nothing is expected")
  return {
    namespace,
    unless: fields.get("onlyIfUnsupported")?.texts() ?? [],
    needs: needs.flatMap((field) => field?.texts() ?? []),
    extra: extra === undefined ? undefined : readExtra(extra, namespace),
    steps,
  }
}
