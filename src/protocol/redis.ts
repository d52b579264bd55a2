// Redis and Valkey: a command as an array of bulk strings (RESP), or typed as a line.
import { latin1, within } from "./bytes.ts"

/** The first command of a Redis client. */
export interface Redis {
  readonly protocol: "redis"
  /** In upper case. */
  readonly command: string
}

/** 64 bytes: no command's name has more than 20. */
const LONGEST_COMMAND = 64
/** 1,048,576 arguments: the server's own limit for an array. */
const LONGEST_COUNT = 7
const CR = 13
const LF = 10
const SP = 32

export function redis(bytes: Uint8Array): Redis | "more" | undefined {
  if (bytes.length === 0) return "more"
  return bytes[0] === 0x2a ? array(bytes) : line(bytes)
}

/** `*3 CR LF $3 CR LF SET CR LF ...` */
function array(bytes: Uint8Array): Redis | "more" | undefined {
  const count = numberLine(bytes, 1)
  if (typeof count !== "object") return count
  if (count.value < 1) return undefined
  if (bytes[count.end] === undefined) return "more"
  if (bytes[count.end] !== 0x24) return undefined
  const size = numberLine(bytes, count.end + 1)
  if (typeof size !== "object") return size
  const end = size.end + size.value
  if (size.value < 1 || size.value > LONGEST_COMMAND) return undefined
  if (!within(bytes, size.end, Math.min(end, bytes.length), 0x21, 0x7e)) return undefined
  if (bytes.length < end + 2) return bytes.length <= end || bytes[end] === CR ? "more" : undefined
  if (bytes[end] !== CR || bytes[end + 1] !== LF) return undefined
  return { protocol: "redis", command: latin1(bytes, size.end, end).toUpperCase() }
}

function numberLine(bytes: Uint8Array, from: number): { value: number; end: number } | "more" | undefined {
  let value = 0
  for (let at = from; at < bytes.length; at++) {
    const digit = bytes[at]! - 48
    if (digit >= 0 && digit <= 9 && at - from < LONGEST_COUNT) value = value * 10 + digit
    else if (bytes[at] !== CR || at === from) return undefined
    else if (at + 1 === bytes.length) return "more"
    else return bytes[at + 1] === LF ? { value, end: at + 2 } : undefined
  }
  return "more"
}

/**
 * The commands that are known by their first word, as health checks and people type them. AUTH, QUIT, NOOP and whatever else
 * mail and news clients say is not among them.
 */
const TYPED = new Set(
  (
    "ping echo select publish subscribe psubscribe ssubscribe spublish monitor client command cluster dbsize " +
    "flushall flushdb exists del info keys scan ttl pttl expire mget mset setnx setex psetex getset getdel getex strlen " +
    "incrby decrby hget hset hgetall hdel hmget hmset lpush rpush lpop rpop lrange llen sadd srem smembers scard " +
    "zadd zrem zrange zscore zcard xadd xread xrange eval evalsha multi exec discard replconf psync role"
  ).split(" "),
)
/** In lower case these are memcached's and munin's too. */
const TYPED_UPPER = new Set(["GET", "SET", "INCR", "DECR", "APPEND", "TOUCH", "CONFIG"])
const LONGEST_TYPED = 12

/** A word of letters, then a space or the end of the line. */
function line(bytes: Uint8Array): Redis | "more" | undefined {
  const most = Math.min(bytes.length, LONGEST_TYPED + 1)
  let at = 0
  while (at < most && isLetter(bytes[at]!)) at++
  if (at > LONGEST_TYPED) return undefined
  const word = latin1(bytes, 0, at)
  if (at === bytes.length) return mayBecome(word) ? "more" : undefined
  if (!isTyped(word)) return undefined
  const next = bytes[at]
  if (next !== SP && next !== CR && next !== LF) return undefined
  const lf = bytes.indexOf(LF, at)
  if (lf < 0) return "more"
  if (next === CR && lf !== at + 1) return undefined
  // Requests of HTTP/0.9 and of an unknown version are not commands.
  if (/^ \/| HTTP\//.test(latin1(bytes, at, lf))) return undefined
  return { protocol: "redis", command: word.toUpperCase() }
}

function isLetter(byte: number): boolean {
  return (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122)
}

function isTyped(word: string): boolean {
  return TYPED_UPPER.has(word) || TYPED.has(word.toLowerCase())
}

function mayBecome(word: string): boolean {
  const lower = word.toLowerCase()
  for (const typed of TYPED) if (typed.startsWith(lower)) return true
  for (const typed of TYPED_UPPER) if (typed.startsWith(word)) return true
  return false
}
