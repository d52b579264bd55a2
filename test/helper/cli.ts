// Runs the command line as people do: a process of its own, with its output and its exit code.
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"

/** The project's folder. */
export const ROOT = resolve(import.meta.dir, "../..")

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs `tidegate` with these arguments, without colour. */
export async function tidegate(
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<Ran> {
  return run([process.execPath, "--no-install", join(ROOT, "src/main.ts"), ...args], options)
}

/** Runs any program. */
export async function run(
  command: readonly string[],
  { cwd = ROOT, env = {} }: { cwd?: string; env?: Record<string, string> } = {},
): Promise<Ran> {
  await using child = Bun.spawn([...command], {
    cwd,
    env: { ...process.env, NO_COLOR: "1", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  })
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { code, stdout, stderr }
}

export interface Folder extends AsyncDisposable {
  readonly path: string
  /** Writes a file, and the folders that it is in. */
  write(name: string, text: string): Promise<void>
}

/** A temporary folder with these files, outside of any project; removed when it goes out of scope. */
export async function folder(files: Readonly<Record<string, string>> = {}): Promise<Folder> {
  const path = await realpath(await mkdtemp(join(tmpdir(), "tidegate-test-")))
  const write = async (name: string, text: string) => {
    await mkdir(dirname(join(path, name)), { recursive: true })
    await writeFile(join(path, name), text)
  }
  for (const [name, text] of Object.entries(files)) await write(name, text)
  return { path, write, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
