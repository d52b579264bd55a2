// Health as configuration: active checks, what connections say, and the breaker.
import { Schema } from "effect"
import { between, duration, flag, optional, required, text, whole, word } from "./field.ts"

/** 16 KiB: a check is a line or a packet. */
const LONGEST_BYTES = 16 * 1024
/** 63 bytes is PostgreSQL's limit of names, 32 characters MySQL's; more is no name. */
const LONGEST_NAME = 128
/** 1 KiB: what is sent to a server as a password. */
const LONGEST_PASSWORD = 1024
/** 2 KiB: a path that is asked for again and again is short. */
const LONGEST_PATH = 2048
/** 50 numbers: past that a check that takes anything is simpler. */
const MOST_STATUS = 50
/** 100 ms: more often is load, not a check. */
const SHORTEST_INTERVAL = 100

export const HEALTH_CHECKS = ["tcp", "tls", "postgres", "redis", "mysql", "http"] as const

const kind = word(HEALTH_CHECKS)

/** A name or a path that goes into a protocol as it is: nothing that ends a line or a text there. */
const plain = (shortest: number, longest: number, what: string, pattern: RegExp) => {
  const expected = `${what} of ${shortest} to ${longest.toLocaleString("en-US")} characters`
  return Schema.String.check(
    Schema.isMinLength(shortest, { expected }),
    Schema.isMaxLength(longest, { expected }),
    Schema.isPattern(pattern, { expected }),
  ).annotate({
    expected,
    range: `${shortest} to ${longest.toLocaleString("en-US")} characters`,
    kind: what.replace(/^an? /, ""),
  })
}
const name = plain(1, LONGEST_NAME, "a name", /^[^\0]*$/u)

const talk = Schema.Struct({
  send: optional(text(0, LONGEST_BYTES), {
    description: "What the check says; nothing where the server speaks first.",
    default: "",
    examples: ["PING\r\n"],
  }),
  expect: required(text(1, LONGEST_BYTES), {
    description: "What is waited for, anywhere in the first 16 KiB of the answer.",
    examples: ["+PONG"],
  }),
}).annotate({
  identifier: "TalkCheck",
  title: "Check: send and expect",
  description:
    "Sends one and waits for the other. Every character up to U+00FF is one byte, as long as there is none above; then the text is UTF-8. In YAML, escapes like `\\r\\n` need double quotes.",
})

const http = Schema.Struct({
  http: required(
    Schema.Struct({
      path: optional(plain(1, LONGEST_PATH, "a path", /^\/[!-~]*$/u), {
        description: "What is asked for.",
        default: "/",
      }),
      host: optional(plain(1, LONGEST_NAME, "a host", /^[!-~]*$/u), {
        description: "The `Host` header.",
        otherwise: "host and port of the target",
      }),
      status: optional(
        Schema.Array(whole(100, 599))
          .check(Schema.isMinLength(1), Schema.isMaxLength(MOST_STATUS))
          .annotate({ expected: `a list of 1 to ${MOST_STATUS} numbers`, range: `1 to ${MOST_STATUS} entries` }),
        { description: "Answers that are good.", otherwise: "200 to 399", examples: [[200, 204]] },
      ),
    }).annotate({ identifier: "HttpOptions", title: "HTTP", expected: 'options like { path: "/health" }' }),
    { description: "`GET`, as HTTP/1.1." },
  ),
}).annotate({ identifier: "HttpCheck", title: "Check: http", description: "A web server that answers." })

const postgres = Schema.Struct({
  postgres: required(
    Schema.Struct({
      user: optional(name, {
        description:
          "Whom it says it is. Where the server asks for no password, a user that exists keeps its log quiet.",
        default: "tidegate",
      }),
      database: optional(name, { description: "The database that it asks for.", otherwise: "as the user" }),
    }).annotate({ identifier: "PostgresOptions", title: "PostgreSQL", expected: "options like { user, database }" }),
    {
      description: "As pg_isready: whoever answers is healthy, except that it is starting up. Never sends a password.",
    },
  ),
}).annotate({ identifier: "PostgresCheck", title: "Check: postgres", description: "A PostgreSQL server." })

const redis = Schema.Struct({
  redis: required(
    Schema.Struct({
      password: optional(text(1, LONGEST_PASSWORD).annotate({ secret: true }), {
        description: "Said before the question for the role; a server with a password tells it for that only.",
        otherwise: "none",
      }),
      role: optional(word(["master", "slave"]), {
        description: "Only a server that has this role is healthy.",
        otherwise: "any",
      }),
    }).annotate({ identifier: "RedisOptions", title: "Redis", expected: "options like { password, role }" }),
    { description: "`PING`." },
  ),
}).annotate({ identifier: "RedisCheck", title: "Check: redis", description: "A Redis server." })

const mysql = Schema.Struct({
  mysql: required(
    Schema.Struct({
      user: optional(name, {
        description: "Whom it says it is. A user without password and privileges keeps the server's log quiet.",
        default: "tidegate",
      }),
    }).annotate({ identifier: "MysqlOptions", title: "MySQL", expected: "options like { user }" }),
    {
      description:
        "Tries to log in without a password, so that the server does not count an interrupted connect and block this host in the end. Both answers are healthy.",
    },
  ),
}).annotate({ identifier: "MysqlCheck", title: "Check: mysql", description: "A MySQL or MariaDB server." })

export const healthCheck = Schema.Union([kind, talk, http, postgres, redis, mysql]).annotate({
  expected: `${HEALTH_CHECKS.map((one) => JSON.stringify(one)).join(", ")}, or an object with expect, http, postgres, redis or mysql`,
})

const options = Schema.Struct({
  check: optional(healthCheck, {
    description:
      "`tcp` connects; `tls` completes a handshake with a certificate that is verified, also where a `tcp://` target's TLS passes through. The others speak a protocol, and see through a server that accepts connections and does nothing else.",
    default: "tcp",
  }),
  interval: optional(duration(SHORTEST_INTERVAL), {
    description: "From the start of one check to that of the next.",
    default: "5 seconds",
  }),
  jitter: optional(between(0, 1), {
    description: "Share of the interval by which each check comes earlier or later.",
    default: 0.1,
  }),
  timeout: optional(duration(1), { description: "For a whole check.", default: "2 seconds" }),
  rise: optional(whole(1, 100), { description: "Good checks in a row that make a target healthy.", default: 2 }),
  fall: optional(whole(1, 100), { description: "Bad checks in a row that make it unhealthy.", default: 3 }),
  port: optional(whole(1, 65_535), {
    description: "Check this port instead of the target's own. Nothing for `unix:` targets.",
    otherwise: "the target's",
  }),
  tls: optional(flag, {
    description: "Check inside TLS, with a certificate that is verified.",
    otherwise: "for `tls://` targets, unless `port` is given",
  }),
}).annotate({
  identifier: "Health",
  title: "Health",
  description: "Active checks of each target.",
  expected: "options like { check, interval }",
})

export const health = Schema.Union([kind, options]).annotate({
  expected: `${HEALTH_CHECKS.map((one) => JSON.stringify(one)).join(", ")}, or options like { check, interval }`,
})

const passiveOptions = Schema.Struct({
  failures: optional(whole(1, 1000), { description: "Failures in a row that take the target out.", default: 3 }),
  ejectFor: optional(duration(1), {
    description: "Out for this long the first time, twice as long each time after.",
    default: "10 seconds",
  }),
  ejectForAtMost: optional(duration(1), { description: "The longest time out.", default: "5 minutes" }),
  ejectAtMost: optional(between(0, 1), {
    description: "Share of the pool that may be out by this at one time.",
    default: 0.5,
  }),
}).annotate({
  identifier: "PassiveHealth",
  title: "Passive health",
  description: "What connections themselves say of a target: refused, timed out, or reset before the first byte.",
  expected: "options like { failures, ejectFor }",
})

export const passive = Schema.Union([
  passiveOptions,
  Schema.Literal(false).annotate({ expected: "false", kind: "`false`" }),
]).annotate({ expected: "false, or options like { failures, ejectFor }" })

export const breaker = Schema.Struct({
  failures: optional(between(0, 1, { above: true }), { description: "Share of failed attempts.", default: 0.5 }),
  attempts: optional(whole(1, 10_000), {
    description: "Attempts within the window before the share counts.",
    default: 20,
  }),
  window: optional(duration(1), { description: "What is looked back at.", default: "10 seconds" }),
  openFor: optional(duration(1), {
    description: "Then one connection tries whether it is better.",
    default: "10 seconds",
  }),
}).annotate({
  identifier: "Breaker",
  title: "Breaker",
  description: "Stops asking a target of which too large a share of attempts fails, however few are left.",
  expected: "options like { failures, attempts }",
})
