// Which files of a certificates folder belong together. Looks at names only.
import { readdirSync, type Dirent } from "node:fs"
import { join } from "node:path"

/** Paths are relative to the certificates folder. */
export interface Pair {
  readonly cert: string
  /** Where the key may be, unless it is in the file of the certificate; the first one that exists. */
  readonly keys: readonly string[]
}

export interface Listing {
  readonly pairs: readonly Pair[]
  /** Sub-folders that may hold a pair. */
  readonly folders: readonly string[]
}

/** What Kubernetes and cert-manager, and what certbot write into a folder of their own. */
const IN_FOLDERS: readonly Pair[] = [
  { cert: "tls.crt", keys: ["tls.key"] },
  { cert: "fullchain.pem", keys: ["privkey.pem"] },
]
/** What certbot puts beside: parts of `fullchain.pem`. */
const PARTS_OF_FULLCHAIN: readonly string[] = ["cert.pem", "chain.pem", "privkey.pem"]

/** The files and folders of a folder, sorted by name. @throws what readdir throws */
export function listPairs(folder: string): Listing {
  const entries = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith("."))
  const names = new Set(entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name))
  const folders = entries.filter(isFolder).map(({ name }) => name)
  const pairs = [...names].filter((name) => isCertificateName(name, names)).map(pairOf)
  const below = folders.flatMap((name) => IN_FOLDERS.map((pair) => inFolder(name, pair)))
  return { pairs: [...pairs, ...below].sort((a, b) => (a.cert < b.cert ? -1 : 1)), folders: folders.sort() }
}

/** The name of a pair: that of its file without the ending, or that of its sub-folder. */
export function pairName(cert: string): string {
  const slash = cert.indexOf("/")
  return slash < 0 ? cert.replace(/\.(crt|pem)$/, "") : cert.slice(0, slash)
}

/** Whether the file is named as people name authorities, for policies to verify clients by: `ca.crt`, `clients-ca.pem`. */
export function isAuthorityName(cert: string): boolean {
  return /(^|[_-])ca\.(crt|pem)$/i.test(cert)
}

function isCertificateName(name: string, names: ReadonlySet<string>): boolean {
  if (!/.\.(crt|pem)$/.test(name)) return false
  return !(PARTS_OF_FULLCHAIN.includes(name) && names.has("fullchain.pem"))
}

function pairOf(cert: string): Pair {
  const name = pairName(cert)
  // `name-key.pem` is what mkcert writes.
  return { cert, keys: [`${name}.key`, name === "fullchain" ? "privkey.pem" : `${name}-key.pem`] }
}

/** A link may lead to a folder: only one with the name of a certificate is taken for a file. */
function isFolder(entry: Dirent): boolean {
  return entry.isDirectory() || (entry.isSymbolicLink() && !/\.(crt|pem|key)$/.test(entry.name))
}

function inFolder(folder: string, { cert, keys }: Pair): Pair {
  return { cert: join(folder, cert), keys: keys.map((key) => join(folder, key)) }
}
