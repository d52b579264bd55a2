// Secrets for expressions, from a folder: `vault/name` is a file, as Kubernetes mounts them and Docker does. They are held in
// memory, so that no connection waits for a disk, and are in no message.
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join, resolve } from "node:path"
import { distrust } from "../trust.ts"

export interface SecretProblem {
  /** Absolute. */
  readonly path: string
  readonly message: string
}

/** 1,000 files: more are a slip, like the root of a disk. */
const MOST_SECRETS = 1000
/** 64 KiB: a key or a password; a chain of certificates has some kB. */
const LARGEST_SECRET = 64 * 1024

export class Secrets {
  /** Absolute. */
  readonly folder: string
  private values = new Map<string, string>()

  private constructor(folder: string) {
    this.folder = resolve(folder)
  }

  static open(folder: string): { readonly secrets: Secrets; readonly problems: readonly SecretProblem[] } {
    const secrets = new Secrets(folder)
    return { secrets, problems: secrets.look() }
  }

  get(vault: string, name: string): string | undefined {
    return this.values.get(`${vault}/${name}`)
  }

  /** The folders whose changes change secrets. */
  folders(): readonly string[] {
    return [this.folder, ...foldersIn(this.folder).map((vault) => join(this.folder, vault))]
  }

  /** Reads the folder anew. With a problem what was read before stays. */
  look(): readonly SecretProblem[] {
    const values = new Map<string, string>()
    const problems: SecretProblem[] = []
    const at = (path: string, work: () => void) => {
      try {
        const found = distrust(path, statSync(path, { bigint: true }))
        if (found === undefined) work()
        else problems.push({ path, message: found.message })
      } catch (error) {
        problems.push({ path, message: `cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}` })
      }
    }
    at(this.folder, () => {
      for (const vault of foldersIn(this.folder)) {
        const folder = join(this.folder, vault)
        at(folder, () => {
          for (const name of namesIn(folder)) {
            const path = join(folder, name)
            if (statSync(path).isFile()) at(path, () => void values.set(`${vault}/${name}`, read(path)))
          }
        })
      }
    })
    if (values.size > MOST_SECRETS)
      problems.push({ path: this.folder, message: `${values.size} secrets; at most ${MOST_SECRETS}` })
    if (problems.length === 0) this.values = values
    return problems
  }
}

/** What is written by hand ends with a line break, which nobody means. */
function read(path: string): string {
  const { size } = statSync(path)
  if (size > LARGEST_SECRET) throw new Error(`${size} bytes; a secret has at most ${LARGEST_SECRET}`)
  return readFileSync(path, "utf8").replace(/\r?\n$/, "")
}

/** Kubernetes keeps what it swaps in hidden folders. */
function namesIn(folder: string): readonly string[] {
  return readdirSync(folder).filter((name) => !name.startsWith("."))
}

function foldersIn(folder: string): readonly string[] {
  try {
    return namesIn(folder).filter((name) => statSync(join(folder, name)).isDirectory())
  } catch {
    // What cannot be read is a problem of whoever reads it.
    return []
  }
}
