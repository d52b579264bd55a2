// What servers answer to checks, as bytes: recorded ones, and those of servers that are in a bad way.
import type { HealthSpec } from "../../../src/policy/pool.ts"

export interface Transcript {
  readonly what: string
  readonly check: HealthSpec["check"]
  /** Everything that the server sends. */
  readonly bytes: Uint8Array
  /** `"alive"`, or why not. */
  readonly verdict: string
}

const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0))

/** PostgreSQL's message: type, length, body. */
function message(type: string, body: string): string {
  const length = body.length + 4
  return `${type}${String.fromCharCode((length >>> 24) & 255, (length >>> 16) & 255, (length >>> 8) & 255, length & 255)}${body}`
}

function pgError(code: string, text: string): string {
  return message("E", `SFATAL\0VFATAL\0C${code}\0M${text}\0Fpostmaster.c\0L2409\0RProcessStartupPacket\0\0`)
}

/** MySQL's packet: length, sequence number, body. */
function packet(sequence: number, body: string): string {
  return `${String.fromCharCode(body.length & 255, body.length >>> 8, 0, sequence)}${body}`
}

const GREETING = packet(
  0,
  "\x0a8.4.3\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0caching_sha2_password\0",
)
/** caching_sha2_password and a challenge of 20 bytes. */
const SWITCH = packet(2, "\xfecaching_sha2_password\0ABCDEFGHIJKLMNOPQRST\0")

function mysqlError(sequence: number, code: number, text: string): string {
  return packet(sequence, `\xff${String.fromCharCode(code & 255, code >>> 8)}${text}`)
}

const PASSWORD = message("R", "\0\0\0\x0aSCRAM-SHA-256\0\0")
const INFO = "# Replication\r\nrole:slave\r\nmaster_host:127.0.0.1\r\nmaster_link_status:up\r\n"

type Row = readonly [what: string, check: HealthSpec["check"], bytes: string, verdict: string]

const rows: readonly Row[] = [
  ["a password wanted", { postgres: {} }, PASSWORD, "alive"],
  ["nothing wanted", { postgres: {} }, message("R", "\0\0\0\0"), "alive"],
  ["a notice first", { postgres: {} }, `${message("N", "SNOTICE\0Mhello\0\0")}${PASSWORD}`, "alive"],
  ["another minor version", { postgres: {} }, `${message("v", "\0\x03\0\0\0\0\0\0")}${PASSWORD}`, "alive"],
  ["no such role", { postgres: {} }, pgError("28000", 'role "tidegate" does not exist'), "alive"],
  ["too many clients", { postgres: {} }, pgError("53300", "sorry, too many clients already"), "alive"],
  [
    "starting up",
    { postgres: {} },
    pgError("57P03", "the database system is starting up"),
    "57P03: the database system is starting up",
  ],
  [
    "an error of before protocol 3",
    { postgres: {} },
    "Ecould not fork new process for connection: No memory\n\0",
    "could not fork new process for connection: No memory",
  ],
  ["SSH at PostgreSQL's port", { postgres: {} }, "SSH-2.0-OpenSSH_9.2\r\n", "it does not speak PostgreSQL"],
  ["a length that cannot be", { postgres: {} }, "R\xff\xff\xff\xff", "it does not speak PostgreSQL"],
  ["PONG", { redis: {} }, "+PONG\r\n", "alive"],
  ["a password wanted", { redis: {} }, "-NOAUTH Authentication required.\r\n", "alive"],
  ["an old server's words for it", { redis: {} }, "-ERR operation not permitted\r\n", "alive"],
  ["PING forbidden", { redis: {} }, "-NOPERM this user has no permissions to run the 'ping' command\r\n", "alive"],
  [
    "loading",
    { redis: {} },
    "-LOADING Redis is loading the dataset in memory\r\n",
    "LOADING Redis is loading the dataset in memory",
  ],
  [
    "no master",
    { redis: {} },
    "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
  ],
  ["too many clients", { redis: {} }, "-ERR max number of clients reached\r\n", "ERR max number of clients reached"],
  ["a password taken", { redis: { password: "x" } }, "+OK\r\n+PONG\r\n", "alive"],
  [
    "a password refused",
    { redis: { password: "x" } },
    "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
    "it does not take the password: WRONGPASS invalid username-password pair or user is disabled.",
  ],
  [
    "no password set, in old words",
    { redis: { password: "x" } },
    "-ERR Client sent AUTH, but no password is set\r\n+PONG\r\n",
    "alive",
  ],
  ["the role", { redis: { role: "slave" } }, `+PONG\r\n$${INFO.length}\r\n${INFO}\r\n`, "alive"],
  [
    "another role",
    { redis: { password: "x", role: "master" } },
    `+OK\r\n+PONG\r\n$${INFO.length}\r\n${INFO}\r\n`,
    "it is a slave, not a master",
  ],
  ["no role in it", { redis: { role: "slave" } }, "+PONG\r\n$4\r\nnone\r\n", "it does not tell its role"],
  ["a bulk of 99999 bytes", { redis: { role: "slave" } }, "+PONG\r\n$99999\r\n", "it does not speak Redis"],
  ["HTTP at Redis' port", { redis: {} }, "HTTP/1.1 400 Bad Request\r\n\r\n", "it does not speak Redis"],
  ["a user that is let in", { mysql: {} }, `${GREETING}${packet(2, "\0\0\0\x02\0\0\0")}`, "alive"],
  [
    "a user that is refused",
    { mysql: {} },
    `${GREETING}${mysqlError(2, 1045, "#28000Access denied for user 'tidegate'@'localhost' (using password: NO)")}`,
    "alive",
  ],
  [
    "another plugin, and refused",
    { mysql: {} },
    `${GREETING}${SWITCH}${mysqlError(4, 1045, "#28000Access denied")}`,
    "alive",
  ],
  ["another plugin, and let in", { mysql: {} }, `${GREETING}${SWITCH}${packet(4, "\0\0\0\x02\0\0\0")}`, "alive"],
  ["one plugin after the other", { mysql: {} }, `${GREETING}${SWITCH}${SWITCH}${SWITCH}${SWITCH}`, "alive"],
  [
    "a blocked host",
    { mysql: {} },
    mysqlError(0, 1129, "Host '10.0.0.1' is blocked because of many connection errors"),
    "1129: Host '10.0.0.1' is blocked because of many connection errors",
  ],
  [
    "too many connections after the login",
    { mysql: {} },
    `${GREETING}${mysqlError(2, 1040, "#08004Too many connections")}`,
    "1040: Too many connections",
  ],
  [
    "shutting down",
    { mysql: {} },
    `${GREETING}${mysqlError(2, 1053, "#08S01Server shutdown in progress")}`,
    "1053: Server shutdown in progress",
  ],
  ["an error without words", { mysql: {} }, mysqlError(0, 2000, ""), "2000: an error without words"],
  ["SMTP at MySQL's port", { mysql: {} }, "220 mail.example.com ESMTP\r\n", "it does not speak MySQL"],
  ["protocol 9", { mysql: {} }, packet(0, "\x093.20.32\0\0\0\0\0abcdefgh\0"), "it does not speak MySQL"],
  ["200", { http: {} }, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "alive"],
  ["HTTP/1.0, and no words", { http: {} }, "HTTP/1.0 204\r\n\r\n", "alive"],
  ["a redirect", { http: {} }, "HTTP/1.1 301 Moved Permanently\r\n", "alive"],
  ["bare line feeds", { http: {} }, "HTTP/1.1 200 OK\n", "alive"],
  [
    "an interim answer first",
    { http: {} },
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n",
    "alive",
  ],
  [
    "503",
    { http: {} },
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n",
    "it answered 503 Service Unavailable",
  ],
  ["200, but 204 is wanted", { http: { status: [204] } }, "HTTP/1.1 200 OK\r\n", "it answered 200 OK"],
  ["HTTP/2", { http: {} }, "\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\xff\xff", "it does not speak HTTP/1.1"],
  ["a status of two digits", { http: {} }, "HTTP/1.1 20 OK\r\n", "it does not speak HTTP/1.1"],
  ["what is expected, in the middle", { expect: "ready" }, "almost: ready!\n", "alive"],
  ["a byte above 127", { expect: "\xff\xfe" }, "\0\xff\xfe", "alive"],
  ["UTF-8", { expect: "готово" }, latin1Of("и вот: готово"), "alive"],
]

export const transcripts: readonly Transcript[] = rows.map(([what, check, bytes, verdict]) => ({
  what: `${Object.keys(check).at(-1)}: ${what}`,
  check,
  bytes: latin1(bytes),
  verdict,
}))

/** The text in UTF-8, one character per byte. */
function latin1Of(text: string): string {
  return Buffer.from(text).toString("latin1")
}
