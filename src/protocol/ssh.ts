// SSH: the identification line, which a client may send without waiting for the server's.
import { begins, latin1, within } from "./bytes.ts"

/** The identification of an SSH client. */
export interface Ssh {
  readonly protocol: "ssh"
  /** Of the protocol: `"2.0"`, or `"1.99"` and `"1.5"` of old clients. */
  readonly version: string
  /** `"OpenSSH_9.6"` */
  readonly software: string
  /** What follows the software after a space. */
  readonly comments: string | undefined
}

/** RFC 4253 section 4.2: 255 characters with CR and LF. */
const LONGEST_LINE = 255
const LINE = /^SSH-([0-9]+\.[0-9]+)-([^ ]+)(?: (.*))?$/

export function ssh(bytes: Uint8Array): Ssh | "more" | undefined {
  const start = begins(bytes, "SSH-")
  if (start !== true) return start || undefined
  const lf = bytes.subarray(0, LONGEST_LINE).indexOf(10)
  if (lf < 0) {
    const end = bytes[bytes.length - 1] === 13 ? bytes.length - 1 : bytes.length
    return bytes.length < LONGEST_LINE && within(bytes, 4, end, 0x20, 0x7e) ? "more" : undefined
  }
  const end = bytes[lf - 1] === 13 ? lf - 1 : lf
  if (!within(bytes, 4, end, 0x20, 0x7e)) return undefined
  const line = LINE.exec(latin1(bytes, 0, end))
  if (line === null) return undefined
  return { protocol: "ssh", version: line[1]!, software: line[2]!, comments: line[3] }
}
