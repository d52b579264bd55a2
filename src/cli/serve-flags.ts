// The options of `tidegate serve`, as flags and as what src/cli/serve.ts gets.
import { Argument, Flag } from "effect/cli"
import { milliseconds } from "../policy/duration.ts"

export interface ServeOptions {
  readonly folder: string
  readonly config: string | undefined
  readonly log: "json" | "pretty" | "none"
  readonly maxConnections: number | undefined
  /** Milliseconds, as all durations here. */
  readonly policyDeadline: number | undefined
  readonly shutdownDelay: number
  readonly drain: number
  readonly control: string | undefined
  /** `undefined`: the folder `certs`, if there is one. */
  readonly certs: string | undefined
  readonly devCertificates: boolean
  /** Files and folders of databases. */
  readonly geoip: readonly string[]
  /** A folder of lists, each a category of addresses. */
  readonly ipCategories: string | undefined
  /** A folder of vaults with secrets. */
  readonly secrets: string | undefined
  /** Servers that `dns://` and `srv://` targets are asked for. Empty: the system's. */
  readonly dns: readonly string[]
  readonly allowLinkLocal: boolean
  readonly allowOwnListeners: boolean
}

export const folder = Argument.String("folder").pipe(
  Argument.withDescription("The folder of policies"),
  Argument.withDefault("policies"),
)

export const config = Flag.String("config").pipe(
  Flag.withMetavar("FILE"),
  Flag.withDescription("Pools and listeners as YAML or JSON, beside the policies (default: none)"),
  Flag.optional,
)

export const geoip = Flag.String("geoip").pipe(
  Flag.withMetavar("PATH"),
  Flag.withDescription("A folder of MaxMind's *.mmdb files, or one of them, for geo(); may be given more than once"),
  Flag.atLeast(0),
)

export const ipCategories = Flag.String("ip-categories").pipe(
  Flag.withMetavar("FOLDER"),
  Flag.withDescription(
    "Lists of addresses for conn.client_ip.categories: blocklist.mine.txt is a category (default: none)",
  ),
  Flag.optional,
)

export const secrets = Flag.String("secrets").pipe(
  Flag.withMetavar("FOLDER"),
  Flag.withDescription("Files for secrets.get(vault, name): FOLDER/vault/name (default: none)"),
  Flag.optional,
)

const dns = Flag.String("dns").pipe(
  Flag.withMetavar("HOST:PORT"),
  Flag.withDescription(
    "A DNS server for dns:// and srv:// targets, like 127.0.0.1:8600; may be given more than once (default: those of the system)",
  ),
  Flag.atLeast(0),
)

export const control = Flag.String("control").pipe(
  Flag.withMetavar("PATH"),
  Flag.withDescription("The control socket (default: chosen by the folder)"),
  Flag.optional,
)

const duration = (name: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("DURATION"),
    Flag.mapTryCatch(
      (text) => milliseconds(text, `--${name}`),
      () => 'Expected a duration like "5 seconds" or "250ms"',
    ),
  )

export const serveFlags = {
  folder,
  config,
  log: Flag.Literals("log", ["json", "pretty", "none"]).pipe(
    Flag.withDescription("How events are written (default: pretty on a terminal, otherwise json)"),
    Flag.withDefault(process.stdout.isTTY ? "pretty" : "json"),
  ),
  maxConnections: Flag.Int("max-connections").pipe(
    Flag.withMetavar("NUMBER"),
    Flag.filter(
      (number) => number >= 1,
      (number) => `Expected a whole number from 1, found ${number}`,
    ),
    Flag.withDescription("Connections at one time (default: from the limit of descriptors)"),
    Flag.optional,
  ),
  policyDeadline: duration("policy-deadline").pipe(
    Flag.withDescription("Time for a policy that waits (default: 5 seconds)"),
    Flag.optional,
  ),
  shutdownDelay: duration("shutdown-delay").pipe(
    Flag.withDescription("After SIGTERM, be not ready but accept for this long (default: 0s)"),
    Flag.withDefault(0),
  ),
  drain: duration("drain").pipe(
    Flag.withDescription("After that, wait this long for connections to end (default: 30 seconds)"),
    Flag.withDefault(30_000),
  ),
  control,
  certs: Flag.String("certs").pipe(
    Flag.withMetavar("FOLDER"),
    Flag.withDescription("Certificates and keys for terminate() (default: certs, if there is one)"),
    Flag.optional,
  ),
  devCertificates: Flag.Boolean("dev-certificates").pipe(
    Flag.withDescription("Make certificates for every name that has none, signed by an authority of your own"),
    Flag.withDefault(false),
  ),
  geoip,
  ipCategories,
  secrets,
  dns,
  allowLinkLocal: Flag.Boolean("allow-link-local").pipe(
    Flag.withDescription("Allow targets with link-local addresses"),
    Flag.withDefault(false),
  ),
  allowOwnListeners: Flag.Boolean("allow-own-listeners").pipe(
    Flag.withDescription("Allow targets that are the gateway's own listeners"),
    Flag.withDefault(false),
  ),
}
