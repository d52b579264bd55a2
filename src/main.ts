#!/usr/bin/env -S bun --no-install
// The command line. Each command's implementation is imported only when it is called, so that `serve` carries nothing
// of the others. The one place in the program where an Effect is run.
import { Cause, Effect, Exit, FileSystem, Layer, Option, Path, Stdio, Terminal } from "effect"
import { Argument, CliConfig, CliError, CliOutput, Command, Flag, GlobalFlag } from "effect/cli"
import { ChildProcessSpawner } from "effect/process"
import { config, control, folder, geoip, ipCategories, secrets, serveFlags } from "./cli/serve-flags.ts"
import manifest from "../package.json" with { type: "json" }

/** The way out, before policies are loaded and it is closed to them. */
const exit = process.exit.bind(process)

/** Wrong usage, and policies that are not good. */
const USAGE = 2

const exiting = <E, R>(command: Effect.Effect<number, E, R>) =>
  Effect.map(command, (code) => {
    process.exitCode = code
  })
const exitWith = (command: () => Promise<number>) => exiting(Effect.promise(command))

const serve = Command.make("serve", serveFlags, (flags) =>
  exiting(
    Effect.flatMap(
      Effect.promise(() => import("./cli/serve.ts")),
      ({ serve }) =>
        serve({
          ...flags,
          config: Option.getOrUndefined(flags.config),
          maxConnections: Option.getOrUndefined(flags.maxConnections),
          policyDeadline: Option.getOrUndefined(flags.policyDeadline),
          control: Option.getOrUndefined(flags.control),
          certs: Option.getOrUndefined(flags.certs),
          ...lookupsOf(flags),
        }),
    ),
  ),
).pipe(Command.withDescription("Open the listeners of a folder of policies and serve them"))

/** What expressions may look up. */
function lookupsOf(flags: { readonly ipCategories: Option.Option<string>; readonly secrets: Option.Option<string> }): {
  readonly ipCategories: string | undefined
  readonly secrets: string | undefined
} {
  return { ipCategories: Option.getOrUndefined(flags.ipCategories), secrets: Option.getOrUndefined(flags.secrets) }
}

const check = Command.make(
  "check",
  {
    folder,
    config,
    geoip,
    ipCategories,
    secrets,
    types: Flag.Boolean("types").pipe(
      Flag.withDescription("Type-check strictly as well, as an editor would"),
      Flag.withDefault(false),
    ),
  },
  (flags) =>
    exitWith(async () =>
      (await import("./cli/check.ts")).check({
        ...flags,
        config: Option.getOrUndefined(flags.config),
        lookups: lookupsOf(flags),
      }),
    ),
).pipe(Command.withDescription("Load every policy without opening anything, and report every problem"))

const test = Command.make("test", { folder, geoip }, (flags) =>
  exitWith(async () => (await import("./cli/test.ts")).test(flags)),
).pipe(Command.withDescription("Run the tests of a folder of policies"))

const explain = Command.make(
  "explain",
  {
    folder,
    config,
    geoip,
    ipCategories,
    secrets,
    from: Flag.String("from").pipe(
      Flag.withMetavar("ADDRESS"),
      Flag.withDescription("The client: 203.0.113.9, 203.0.113.9:4711 or [2001:db8::1]:4711"),
      Flag.optional,
    ),
    to: Flag.String("to").pipe(
      Flag.withMetavar("LISTENER"),
      Flag.withDescription("Where it connects: tcp://127.0.0.1:5432, tls://db.example.com:443 or unix:/run/x.sock"),
    ),
    via: Flag.String("via").pipe(
      Flag.withMetavar("ADDRESS"),
      Flag.withDescription("The load balancer that passes it on with a PROXY header: 10.0.0.5, or unix"),
      Flag.optional,
    ),
    sni: Flag.String("sni").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("The server name that its TLS hello asks for (default: the name in --to)"),
      Flag.optional,
    ),
    alpn: Flag.String("alpn").pipe(
      Flag.withMetavar("PROTOCOLS"),
      Flag.withDescription("The application protocols that its hello offers: h2,http/1.1"),
      Flag.optional,
    ),
    bytes: Flag.String("bytes").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("A file with the bytes that the client sends first"),
      Flag.optional,
    ),
  },
  (flags) =>
    exitWith(async () =>
      (await import("./cli/explain.ts")).explain({
        ...flags,
        lookups: lookupsOf(flags),
        config: Option.getOrUndefined(flags.config),
        from: Option.getOrUndefined(flags.from),
        via: Option.getOrUndefined(flags.via),
        sni: Option.getOrUndefined(flags.sni),
        alpn: Option.getOrUndefined(flags.alpn),
        bytes: Option.getOrUndefined(flags.bytes),
      }),
    ),
).pipe(Command.withDescription("Show which policies are asked about a connection, and what they answer"))

const init = Command.make("init", { folder }, (flags) =>
  exitWith(async () => (await import("./cli/init.ts")).init(flags)),
).pipe(Command.withDescription("Write a first policy, a test for it, and what editors need"))

const status = Command.make(
  "status",
  {
    folder,
    config,
    control,
    output: Flag.Literals("output", ["table", "json", "yaml"]).pipe(
      Flag.withAlias("o"),
      Flag.withDescription("How to print it (default: table)"),
      Flag.withDefault("table"),
    ),
    ready: Flag.Boolean("ready").pipe(
      Flag.withDescription("Print one word, and exit with 1 unless the gateway is ready"),
      Flag.withDefault(false),
    ),
  },
  (flags) =>
    exitWith(async () => {
      const { config, control, ...rest } = flags
      const options = { ...rest, config: Option.getOrUndefined(config), control: Option.getOrUndefined(control) }
      return (await import("./cli/status.ts")).status(options)
    }),
).pipe(Command.withDescription("Ask a running gateway how it is"))

const convert = Command.make(
  "convert",
  {
    paths: Argument.String("path").pipe(
      Argument.withDescription("A file of manifests, or a folder of such files"),
      Argument.variadic({ min: 1 }),
    ),
  },
  (flags) => exitWith(async () => (await import("./cli/convert.ts")).convert(flags)),
).pipe(Command.withDescription("Print TCPIngresses and ngrok's manifests as Gateway API"))

const tidegate = Command.make("tidegate").pipe(
  Command.withDescription(
    "A programmable TCP gateway: a policy is a TypeScript file, and saving it is the deployment.",
  ),
  Command.withSubcommands([serve, check, test, explain, init, status, convert]),
)

/** Errors are one short paragraph on stderr; help is given when it is asked for. */
const presenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.sync(() => {
          const messages = event.errors.map((error) =>
            CliOutput.defaultFormatter({ colors: false }).formatCliError(error),
          )
          process.stderr.write(`tidegate: ${messages.join("\n")}\n\nTry: ${event.commandPath.join(" ")} --help\n`)
        })
      : CliOutput.defaultPresenter.present(event),
}

const none = Effect.die(new Error("the command line has no terminal of its own"))

/** Our flags read no files, ask no questions and start nothing, so the platform behind the parser is empty. */
const platform = Layer.mergeAll(
  FileSystem.layerNoop({}),
  Path.layer,
  Stdio.layerTest({}),
  Layer.succeed(
    Terminal.Terminal,
    Terminal.make({
      columns: Effect.succeed(process.stdout.columns ?? 80),
      rows: Effect.succeed(process.stdout.rows ?? 24),
      size: none,
      readInput: none,
      readLine: none,
      display: () => none,
    }),
  ),
  Layer.mock(ChildProcessSpawner.ChildProcessSpawner, {}),
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] }),
  CliOutput.layerPresenter(presenter),
)

const run = Command.runWith(tidegate, { version: manifest.version })
const ended = await Effect.runPromiseExit(Effect.provide(run(process.argv.slice(2)), platform))
if (Exit.isFailure(ended)) {
  const error = Cause.squash(ended.cause)
  if (CliError.isCliError(error)) process.exitCode = USAGE
  else {
    process.stderr.write(`tidegate: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    process.exitCode = 1
  }
}
// A policy that was loaded may have left timers behind; they must not keep a finished command alive.
await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write("", done))))
exit()
