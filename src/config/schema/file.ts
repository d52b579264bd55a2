// The whole of tidegate.yaml.
import { Schema } from "effect"
import { grouped, optional, text } from "./field.ts"
import { listener } from "./listener.ts"
import { pools } from "./pool.ts"

/** 1,000: as many ports as a range has; more listeners are written by a machine. */
const MOST_LISTENERS = 1000
/** A city, a country and a network database, and some to spare. */
const MOST_DATABASES = 10
/** PATH_MAX on Linux. */
const LONGEST_PATH = 4096

const path = text(1, LONGEST_PATH, "a path").annotate({ kind: "path", range: "" })

export const file = Schema.Struct({
  $schema: optional(text(0, LONGEST_PATH), {
    description: "For editors: where the schema of this file is. Nothing is fetched.",
    otherwise: "none",
  }),
  pools: optional(pools, {
    description:
      "Pools by name: lower-case letters, digits and dashes, a letter first. A policy, or a listener here, names one in its route.",
    otherwise: "none",
    examples: [{ db: { targets: ["tcp://db-1.internal:5432", "tcp://db-2.internal:5432"], health: "postgres" } }],
  }),
  listeners: optional(
    Schema.Array(listener)
      .check(Schema.isMaxLength(MOST_LISTENERS))
      .annotate({
        expected: `a list of at most ${grouped(MOST_LISTENERS)} listeners`,
        range: `at most ${grouped(MOST_LISTENERS)} entries`,
      }),
    {
      description: "Ports that are served, and options of ports that policies serve.",
      otherwise: "none",
      examples: [[{ url: "tcp://:5432", route: "db" }]],
    },
  ),
  geoip: optional(
    Schema.Union([
      path,
      Schema.Array(path)
        .check(Schema.isMinLength(1), Schema.isMaxLength(MOST_DATABASES))
        .annotate({ expected: `a list of 1 to ${MOST_DATABASES} paths`, range: `1 to ${MOST_DATABASES} entries` }),
    ]).annotate({ expected: `a path, or a list of 1 to ${MOST_DATABASES} paths` }),
    {
      description:
        "A folder of MaxMind's `*.mmdb` files, or one of them, for `geo()`, as `--geoip`. A relative path starts at the folder of this file.",
      otherwise: "none",
      examples: ["geoip"],
    },
  ),
}).annotate({
  identifier: "Configuration",
  title: "The file",
  description: "What `--config` reads: pools and listeners for those who write no code, beside the policies.",
  expected: "an object like { pools: ..., listeners: ... }",
})

export type Configuration = typeof file.Type
