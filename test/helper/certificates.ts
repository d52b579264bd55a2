// Certificates for tests, made with the `openssl` command line: authorities, what they sign, and what they revoke.
// What is asked for twice in one run is made once.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export type Algorithm = "ecdsa" | "rsa" | "ed25519"

export interface Wanted {
  readonly names?: readonly string[]
  readonly ips?: readonly string[]
  readonly uris?: readonly string[]
  readonly emails?: readonly string[]
  /** @default "ecdsa" */
  readonly algorithm?: Algorithm
  /** @default "both" */
  readonly usage?: "server" | "client" | "both"
  /** As openssl's `-subj`, like `/O=Example/CN=amy`. @default the first name as CN */
  readonly subject?: string
  /** When it starts, in days from now. @default -1 */
  readonly from?: number
  /** How long it lasts from then on. @default 90 */
  readonly days?: number
  /** Sets another certificate apart that is wanted with the same properties. */
  readonly edition?: number
  /** Lines of openssl's x509v3_config that replace the usual extensions. */
  readonly extensions?: string
}

export interface Issued {
  /** PEM: the certificate and the intermediate ones. */
  readonly cert: string
  readonly key: string
  /** PEM: the certificate alone. */
  readonly leaf: string
  /** As X.509 tools write it: upper case hexadecimal. */
  readonly serial: string
  /** Files with the same texts; `combined` is certificate, chain and key. */
  readonly path: { readonly cert: string; readonly key: string; readonly combined: string }
}

export interface AuthorityOptions {
  readonly name?: string
  /** @default "ecdsa" */
  readonly algorithm?: Algorithm
}

const KEYS: Readonly<Record<Algorithm, readonly string[]>> = {
  ecdsa: ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
  rsa: ["rsa:2048"],
  ed25519: ["ed25519"],
}
const USAGES = { server: "serverAuth", client: "clientAuth", both: "serverAuth,clientAuth" } as const
const DAY = 24 * 60 * 60 * 1000

const PREFIX = "tidegate-certificates-"
const root = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`))
removeLeftovers()
let folders = 0

/** What earlier runs left: Bun's tests end without an event. */
function removeLeftovers(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(PREFIX) ? Number.parseInt(name.slice(PREFIX.length), 10) : Number.NaN
    if (pid > 0 && !isRunning(pid)) rmSync(join(tmpdir(), name), { recursive: true, force: true })
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // Somebody else's is running as well.
    return (error as NodeJS.ErrnoException).code !== "ESRCH"
  }
}

/** Runs openssl and gives its output. */
export function openssl(args: readonly string[], input = ""): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["openssl", ...args], { stdin: Buffer.from(input) })
  if (exitCode !== 0) throw new Error(`openssl ${args.join(" ")}: ${stderr.toString()}`)
  return stdout.toString()
}

export class Authority {
  /** PEM. */
  readonly cert: string
  readonly key: string
  /** A file with `cert`: what clients have to trust, when this is a root. */
  readonly path: string
  /** What it sends along with what it signs: itself and those above it, without the root. */
  private readonly chain: string
  private readonly folder: string
  private readonly made = new Map<string, Issued | Authority>()
  private files = 0

  constructor(name: string, algorithm: Algorithm, parent?: Authority) {
    this.folder = join(root, String(folders++))
    mkdirSync(this.folder)
    const extensions = `basicConstraints=critical,CA:true
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
${parent === undefined ? "" : "authorityKeyIdentifier=keyid"}`
    const own = this.request(algorithm, `/CN=${name}`)
    this.key = own.key
    this.path = join(this.folder, "ca.crt")
    writeFileSync(join(this.folder, "ca.key"), this.key)
    this.cert =
      parent === undefined
        ? this.sign(own.request, extensions, -1, 3650, ["-selfsign", "-keyfile", join(this.folder, "ca.key")])
        : parent.sign(own.request, extensions, -1, 3650)
    writeFileSync(this.path, this.cert)
    this.chain = parent === undefined ? "" : this.cert + parent.chain
  }

  issue(wanted: Wanted = {}): Issued {
    return this.once(JSON.stringify(wanted), () => {
      const { algorithm = "ecdsa", names = [], from = -1, days = 90 } = wanted
      const { key, request } = this.request(algorithm, wanted.subject ?? `/CN=${names[0] ?? "nobody"}`)
      const leaf = this.sign(request, wanted.extensions ?? extensionsOf(wanted), from, days)
      const cert = leaf + this.chain
      const serial = openssl(["x509", "-noout", "-serial"], leaf).trim().replace("serial=", "")
      const path = {
        cert: this.write("crt", cert),
        key: this.write("key", key),
        combined: this.write("pem", cert + key),
      }
      return { cert, key, leaf, serial, path }
    })
  }

  /** An authority that this one has signed. What it issues comes with its chain. */
  intermediate(name = "Test intermediate", algorithm: Algorithm = "ecdsa"): Authority {
    return this.once(`intermediate ${name} ${algorithm}`, () => new Authority(name, algorithm, this))
  }

  /** A list of revoked certificates, as PEM. @param until days from now to its end */
  crl(revoked: readonly (Issued | string)[], until = 30): string {
    const line = (serial: string) =>
      `R\t${stamp(30).slice(2)}\t${stamp(-0.5).slice(2)}\t${serial}\tunknown\t/CN=revoked\n`
    const lines = revoked.map((one) => line(typeof one === "string" ? one.toUpperCase() : one.serial))
    const dates = ["-crl_lastupdate", stamp(Math.min(-1, until - 1)), "-crl_nextupdate", stamp(until)]
    return this.ca(["-gencrl", ...dates], lines.join(""))
  }

  private once<Made extends Issued | Authority>(id: string, make: () => Made): Made {
    const known = this.made.get(id)
    if (known !== undefined) return known as Made
    const made = make()
    this.made.set(id, made)
    return made
  }

  private request(algorithm: Algorithm, subject: string): { key: string; request: string } {
    const path = join(this.folder, `${this.files++}.key`)
    const args = ["-newkey", ...KEYS[algorithm], "-nodes", "-keyout", path, "-utf8", "-subj", subject]
    const request = openssl([
      "req",
      "-new",
      "-config",
      this.write("cnf", "[req]\ndistinguished_name=dn\n[dn]\n"),
      ...args,
    ])
    return { key: readFileSync(path, "utf8"), request }
  }

  private sign(request: string, extensions: string, from: number, days: number, more: readonly string[] = []): string {
    const dates = ["-startdate", stamp(from), "-enddate", stamp(from + days)]
    const files = ["-in", this.write("csr", request), "-extfile", this.write("ext", extensions)]
    return this.ca(["-notext", "-preserveDN", "-utf8", ...dates, ...files, ...more])
  }

  private ca(args: readonly string[], database = ""): string {
    const config = `[ca]
default_ca=own
[own]
database=${this.write("txt", database)}
new_certs_dir=${this.folder}
certificate=${this.path}
private_key=${join(this.folder, "ca.key")}
default_md=default
unique_subject=no
rand_serial=yes
policy=any
[any]
commonName=optional
`
    return openssl(["ca", "-batch", "-config", this.write("cnf", config), ...args])
  }

  private write(ending: string, text: string): string {
    const path = join(this.folder, `${this.files++}.${ending}`)
    writeFileSync(path, text)
    return path
  }
}

const authorities = new Map<string, Authority>()

/** A root authority. */
export function authority({ name = "Test root", algorithm = "ecdsa" }: AuthorityOptions = {}): Authority {
  const id = `${name} ${algorithm}`
  let known = authorities.get(id)
  if (known === undefined) authorities.set(id, (known = new Authority(name, algorithm)))
  return known
}

function extensionsOf({ names = [], ips = [], uris = [], emails = [], usage = "both" }: Wanted): string {
  const kinds = { DNS: names, IP: ips, URI: uris, email: emails }
  const alternative = Object.entries(kinds).flatMap(([kind, values]) =>
    values.map((value, i) => `${kind}.${i}=${value.replaceAll(/[\\$#"']/g, "\\$&")}`),
  )
  return `basicConstraints=critical,CA:false
keyUsage=critical,digitalSignature
extendedKeyUsage=${USAGES[usage]}
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
${alternative.length === 0 ? "" : `subjectAltName=@names\n[names]\n${alternative.join("\n")}`}`
}

/** Days from now in openssl's notation, like `20260131120000Z`. */
function stamp(days: number): string {
  return `${new Date(Date.now() + days * DAY).toISOString().replaceAll(/[-:T]/g, "").slice(0, 14)}Z`
}
