// Reads lists of addresses: one address or CIDR per line. Piece by piece, so that a list of millions neither fills the
// memory with texts nor stands in the way of what else there is to do.
import { Buffer } from "node:buffer"
import { relative } from "node:path"
import process from "node:process"
import { TableBuilder, type AddressTable } from "../policy/address-table.ts"
import { CidrInvalid, parseCidr, type Prefix } from "../policy/cidr.ts"
import { describe } from "../policy/describe.ts"

/** A list of addresses cannot be read; the message begins with its path, line and column, as far as there are some. */
export class AddressListInvalid extends Error {
  override readonly name = "AddressListInvalid"
  /** Absolute. */
  readonly path: string
  /** Counts from 1, as `column` does. */
  readonly line: number | undefined
  readonly column: number | undefined

  constructor(path: string, message: string, line?: number, column?: number) {
    super(`${shownPath(path)}${line === undefined ? "" : `:${line}:${column}`}: ${message}`)
    this.path = path
    this.line = line
    this.column = column
  }
}

/** 4,000,000: a list of IPv6 takes 128 MB then, and 150 MB more while it is read. The largest public lists have a tenth. */
export const MOST_PREFIXES = 4_000_000
/** 256 MiB: 64 bytes for each prefix, most of them for comments. */
export const LARGEST_LIST = 256 * 1024 * 1024
/** 1,024 bytes: what has no line break for so long is no list. */
const LONGEST_LINE = 1024

const SPACE = 32
const TAB = 9
const RETURN = 13
const HASH = 35
const SEMICOLON = 59

/** Takes the bytes of one list, in pieces of any size. */
export class ListReader {
  private readonly path: string
  private readonly builder = new TableBuilder()
  /** The beginning of a line whose end has not come. Bytes are characters here: only comments have others than ASCII. */
  private rest = ""
  private line = 0

  constructor(path: string) {
    this.path = path
  }

  /** Prefixes so far, those that come twice counted twice. */
  get size(): number {
    return this.builder.size
  }

  /** @throws AddressListInvalid */
  feed(bytes: Uint8Array): void {
    const { buffer, byteLength, byteOffset } = bytes
    const text = this.rest + Buffer.from(buffer, byteOffset, byteLength).toString("latin1")
    let from = 0
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
      this.read(text, from, end)
      from = end + 1
    }
    this.rest = text.slice(from)
    if (this.rest.length > LONGEST_LINE) this.tooLong(this.line + 1)
  }

  /** To be called once, at the end: what is left of the text, then the table, a step at a time. @throws AddressListInvalid */
  *steps(): Generator<void, AddressTable> {
    this.read(this.rest, 0, this.rest.length)
    this.rest = ""
    return yield* this.builder.steps()
  }

  /** Reads one line. */
  private read(text: string, first: number, last: number): void {
    this.line++
    if (last - first > LONGEST_LINE) this.tooLong(this.line)
    // The mark that some editors put before the first line of a text in UTF-8.
    const begin = this.line === 1 && text.startsWith("\xef\xbb\xbf") ? first + 3 : first
    const from = skipBlanks(text, begin, last)
    let to = from
    while (to < last && !endsAddress(text.charCodeAt(to))) to++
    if (to > from) this.add(text.slice(from, to), from - begin + 1)
    const behind = skipBlanks(text, to, last)
    if (behind < last && !startsComment(text.charCodeAt(behind))) {
      const found = describe(utf8(text.slice(behind, last)).trimEnd())
      this.fail(`expected one address or CIDR per line, found ${found} behind it`, behind - begin + 1)
    }
  }

  private add(token: string, column: number): void {
    const { bits, ip } = this.prefix(token, column)
    if (this.builder.size === MOST_PREFIXES) this.fail(`more than ${MOST_PREFIXES} prefixes, which is the most`, column)
    this.builder.add(ip, bits)
  }

  private prefix(token: string, column: number): Prefix {
    try {
      return parseCidr(token)
    } catch (error) {
      if (!(error instanceof CidrInvalid)) throw error
      return this.fail(cidrProblem(utf8(token)), column)
    }
  }

  private tooLong(line: number): never {
    throw new AddressListInvalid(this.path, `a line has at most ${LONGEST_LINE} bytes; is this a list?`, line, 1)
  }

  private fail(message: string, column: number): never {
    throw new AddressListInvalid(this.path, message, this.line, column)
  }
}

function cidrProblem(text: string): string {
  try {
    parseCidr(text)
  } catch (error) {
    if (error instanceof CidrInvalid) return error.message
    throw error
  }
  return `${describe(text)} is not a CIDR`
}

function skipBlanks(text: string, from: number, to: number): number {
  let at = from
  while (at < to && isBlank(text.charCodeAt(at))) at++
  return at
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB || code === RETURN
}

function startsComment(code: number): boolean {
  return code === HASH || code === SEMICOLON
}

function endsAddress(code: number): boolean {
  return isBlank(code) || startsComment(code)
}

function utf8(bytes: string): string {
  return Buffer.from(bytes, "latin1").toString("utf8")
}

/** As people write it: relative to the working directory when it lies below it. */
export function shownPath(path: string): string {
  const below = relative(process.cwd(), path)
  return below === "" || below === ".." || below.startsWith("../") ? path : below
}
