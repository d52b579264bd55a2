// The databases of `tidegate test --geoip`, on their way into the process that runs the tests.
import process from "node:process"
import { useDatabases } from "../policy/simulated.ts"

/** A list of paths as JSON. */
export const GEOIP = "TIDEGATE_TEST_GEOIP"

/** From now on `geo` tells what the databases have. @throws Error that says what is wrong with them */
export async function openNamed(): Promise<void> {
  const paths: unknown = JSON.parse(process.env[GEOIP] ?? "[]")
  if (!Array.isArray(paths) || paths.length === 0) return
  const { GeoDatabases } = await import("../limit/geo-databases.ts")
  const { databases, problems } = await GeoDatabases.open(paths.map(String))
  if (problems.length > 0) throw new Error(problems.map(({ message, path }) => `${path}: ${message}`).join("\n"))
  useDatabases((ip) => databases.where(ip))
}
