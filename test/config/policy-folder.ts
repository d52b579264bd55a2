// A folder of policies on disk for a test, and a loader over it. `await using` removes the folder and closes the loader.
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { Loader, type Loaded, type LoaderOptions } from "../../src/config/loader.ts"
import type { ListenerPlan, PolicyVersion } from "../../src/config/snapshot.ts"

export class PolicyFolder implements AsyncDisposable {
  /** What the folder is in: for files outside of it. */
  readonly root: string
  readonly path: string
  private readonly loaders: Loader[] = []

  constructor(files: Readonly<Record<string, string>> = {}) {
    this.root = mkdtempSync(join(tmpdir(), "tidegate-config-"))
    this.path = join(this.root, "policies")
    mkdirSync(this.path)
    for (const [name, text] of Object.entries(files)) this.write(name, text)
  }

  at(name: string): string {
    return join(this.path, name)
  }

  write(name: string, text: string): void {
    mkdirSync(dirname(this.at(name)), { recursive: true })
    writeFileSync(this.at(name), text)
  }

  /** As most editors save: a new file takes the old one's name. */
  replace(name: string, text: string): void {
    this.write(`${name}~`, text)
    renameSync(this.at(`${name}~`), this.at(name))
  }

  rename(from: string, to: string): void {
    renameSync(this.at(from), this.at(to))
  }

  remove(name: string): void {
    rmSync(this.at(name), { recursive: true })
  }

  chmod(name: string, mode: number): void {
    chmodSync(this.at(name), mode)
  }

  /** Its reloads wait for every file, on a busy machine too, unless the options say otherwise. */
  loader(options: Partial<LoaderOptions> = {}): TestLoader {
    const loader = new TestLoader(this.path, { runSetup: true, patience: Infinity, ...options })
    this.loaders.push(loader)
    return loader
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.loaders.map((loader) => loader.close()))
    rmSync(this.root, { recursive: true, force: true })
  }
}

export class TestLoader extends Loader {
  /** Loads and commits, as the gateway does. */
  async reload(retryFailed = false): Promise<Loaded> {
    const loaded = await this.load({ retryFailed })
    this.commit(loaded.snapshot)
    return loaded
  }
}

/** A policy with a listener, whose answer is the JSON of `value`; the file itself reads `value` once. */
export function policy(value: string, options: { port?: number; before?: string } = {}): string {
  const listen = `export const listen = "tcp://127.0.0.1:${options.port ?? 9000}"`
  return `${options.before ?? ""}\n${listen}\nexport function on_tcp_connect() { return ${value} }\n`
}

export function states(loaded: Loaded): Record<string, string> {
  return Object.fromEntries(loaded.snapshot.files.map(({ file, state }) => [file, state]))
}

export function version(loaded: Loaded, file: string): PolicyVersion {
  const found = loaded.snapshot.policies.find((one) => one.file === file)
  if (found === undefined) throw new Error(`${file} does not serve`)
  return found
}

export function plan(loaded: Loaded, identity: string): ListenerPlan {
  const found = loaded.snapshot.listeners.get(identity)
  if (found === undefined) throw new Error(`no listener ${identity}`)
  return found
}

/** What the policy answers. The tests' policies look at no connection. */
export function answer(loaded: Loaded, file: string): unknown {
  const { connect, resources } = version(loaded, file)
  return Reflect.apply(connect, undefined, [undefined, resources])
}

/** `file:line:column message` of each problem, with the folder left out. */
export function problems(loaded: Loaded, folder: PolicyFolder): string[] {
  return loaded.problems.map(({ path, line, column, message }) => {
    const place = line === undefined ? "" : `:${line}:${column}`
    return `${path.replace(`${folder.path}/`, "").replace(folder.path, ".")}${place} ${message}`
  })
}

/** How many versions of modules Bun keeps loaded. */
export function modules(): number {
  return Object.keys(require.cache).filter((path) => path.includes("?h=")).length
}

/** Waits for a condition; the test's own time limit ends a wait for one that never comes. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
}
