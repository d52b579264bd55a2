// Certificates for the systems that end TLS: signed by themselves, made by openssl, gone when the benchmark ends.
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { find, newFolder } from "./process.ts"

export type Key = "ecdsa" | "rsa"

/** Paths of PEM files. */
export interface Certificate {
  readonly cert: string
  readonly key: string
  /** Both in one, as HAProxy reads them. */
  readonly pair: string
}

const ALGORITHMS: Readonly<Record<Key, readonly string[]>> = {
  ecdsa: ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
  rsa: ["rsa:2048"],
}

const made = new Map<Key, Certificate>()

/** Why there can be no certificate on this machine, or `undefined`. */
export const missingOpenssl = (): string | undefined =>
  find("openssl") === undefined ? "openssl is not installed" : undefined

/** The certificate for `*.bench.example` of that kind, the same for everybody. */
export function certificate(kind: Key): Certificate {
  const known = made.get(kind)
  if (known !== undefined) return known
  const folder = newFolder()
  const [cert, key, pair] = ["cert.pem", "key.pem", "pair.pem"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  const subject = ["-subj", "/CN=bench.example", "-addext", "subjectAltName=DNS:bench.example,DNS:*.bench.example"]
  const files = ["-keyout", key, "-out", cert]
  const options = ["-x509", "-nodes", "-days", "30", ...subject, "-newkey", ...ALGORITHMS[kind], ...files]
  const { exitCode, stderr } = Bun.spawnSync([find("openssl")!, "req", ...options])
  if (exitCode !== 0) throw new Error(`openssl has made no certificate: ${stderr.toString()}`)
  writeFileSync(pair, readFileSync(cert, "utf8") + readFileSync(key, "utf8"))
  const paths: Certificate = { cert, key, pair }
  made.set(kind, paths)
  return paths
}
