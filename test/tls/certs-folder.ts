// A folder of certificates on disk for a test, removed by `using`.
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import type { CertificatesLoaded, CertificateStore } from "../../src/tls/certificate-store.ts"

export class CertsFolder implements Disposable {
  /** What the folder is in: for files outside of it. */
  readonly root: string
  readonly path: string

  constructor(files: Readonly<Record<string, string>> = {}) {
    this.root = mkdtempSync(join(tmpdir(), "tidegate-certs-"))
    this.path = join(this.root, "certs")
    mkdirSync(this.path)
    for (const [name, text] of Object.entries(files)) this.write(name, text)
  }

  at(name: string): string {
    return join(this.path, name)
  }

  write(name: string, text: string | Uint8Array): void {
    mkdirSync(dirname(this.at(name)), { recursive: true })
    writeFileSync(this.at(name), text)
  }

  rename(from: string, to: string): void {
    renameSync(this.at(from), this.at(to))
  }

  remove(name: string): void {
    rmSync(this.at(name), { recursive: true })
  }

  /** A link takes the place of what was there. */
  link(target: string, name: string): void {
    symlinkSync(target, this.at(`${name}~`))
    this.rename(`${name}~`, name)
  }

  chmod(name: string, mode: number): void {
    chmodSync(this.at(name), mode)
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true })
  }
}

/** `file message` of each problem; `kept:` before it when the pair is still presented. */
export function problems(loaded: CertificatesLoaded): string[] {
  return loaded.problems.map(({ file, message, kept }) => `${kept ? "kept: " : ""}${file} ${message}`)
}

/** The files of the certificates that a client gets. */
export function chosen(store: CertificateStore, name?: string, address?: string): string[] {
  return store.choose(name, address).map(({ file }) => file)
}
