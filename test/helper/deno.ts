// Deno, from the npm package of that name: its binary is in a package per platform.
import { existsSync } from "node:fs"
import { join, resolve } from "node:path"

const PLATFORMS: Record<string, string> = {
  "linux-x64": "linux-x64-glibc",
  "linux-arm64": "linux-arm64-glibc",
  "darwin-x64": "darwin-x64",
  "darwin-arm64": "darwin-arm64",
}

const binary = join(
  resolve(import.meta.dir, "../../node_modules/@deno"),
  PLATFORMS[`${process.platform}-${process.arch}`] ?? "none",
  "deno",
)

/** The path of the binary, or `undefined` where there is none. */
export const deno = existsSync(binary) ? binary : undefined

if (deno === undefined) console.log("skipped: what runs under Deno (its binary is not installed)")
