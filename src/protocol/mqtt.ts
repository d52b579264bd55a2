// MQTT 3.1, 3.1.1 and 5: the CONNECT packet (MQTT 5.0 section 3.1).
import { u16, u32, utf8 } from "./bytes.ts"

/** The CONNECT of an MQTT client. */
export interface Mqtt {
  readonly protocol: "mqtt"
  readonly version: "3.1" | "3.1.1" | "5"
  /** Empty if the server shall choose one. */
  readonly clientId: string
  readonly user: string | undefined
  /** In bytes, the longest packet that a client of version 5 takes, if it says so. */
  readonly maximumPacketSize: number | undefined
}

const CONNECT = 0x10
/** 16 KiB: the user's name stands behind the will, whose message a client may make 64 KiB long. */
const LONGEST_PACKET = 16_384
const USER = 0x80
const WILL = 0x04

export function mqtt(bytes: Uint8Array): Mqtt | "more" | undefined {
  if (bytes.length > 0 && bytes[0] !== CONNECT) return undefined
  const size = variableNumber(bytes, 1)
  if (size === "more" || size === undefined) return size
  const end = size.end + size.value
  if (size.value < 10 || size.value > LONGEST_PACKET) return undefined
  const version = versionAt(bytes, size.end)
  if (version === "more" || version === undefined) return version
  if (bytes.length < end) return bytes.length > version.end && (bytes[version.end]! & 1) !== 0 ? undefined : "more"
  return payload(bytes, version, end)
}

const NAMES = { "\0\x06MQIsdp\x03": "3.1", "\0\x04MQTT\x04": "3.1.1", "\0\x04MQTT\x05": "5" } as const

interface Version {
  readonly version: Mqtt["version"]
  /** Where the flags are. */
  readonly end: number
}

/** The protocol's name and level. The top bit of the level marks a bridge, by a convention of Mosquitto's. */
function versionAt(bytes: Uint8Array, at: number): Version | "more" | undefined {
  for (const [name, version] of Object.entries(NAMES)) {
    const level = at + name.length - 1
    let i = at
    while (i < level && i < bytes.length && bytes[i] === name.charCodeAt(i - at)) i++
    if (i >= bytes.length) return "more"
    if (i === level && (bytes[level]! & 0x7f) === name.charCodeAt(name.length - 1)) return { version, end: level + 1 }
  }
  return undefined
}

/** Behind flags (1) and keep-alive (2): properties of version 5, client id, will, user name. */
function payload(bytes: Uint8Array, { version, end: flagsAt }: Version, end: number): Mqtt | undefined {
  const flags = bytes[flagsAt] ?? 0
  if ((flags & 1) !== 0) return undefined
  const propertiesAt = flagsAt + 3
  let at = version === "5" ? afterProperties(bytes, propertiesAt, end) : propertiesAt
  const maximumPacketSize = version === "5" && at !== undefined ? packetSizeIn(bytes, propertiesAt, at) : undefined
  const idEnd = afterString(bytes, at, end)
  if (at === undefined || idEnd === undefined) return undefined
  const clientId = utf8(bytes, at + 2, idEnd)
  at = idEnd
  if ((flags & WILL) !== 0) {
    if (version === "5") at = afterProperties(bytes, at, end)
    at = afterString(bytes, afterString(bytes, at, end), end)
  }
  if ((flags & USER) === 0)
    return at === undefined ? undefined : { protocol: "mqtt", version, clientId, user: undefined, maximumPacketSize }
  const userEnd = afterString(bytes, at, end)
  if (at === undefined || userEnd === undefined) return undefined
  return { protocol: "mqtt", version, clientId, user: utf8(bytes, at + 2, userEnd), maximumPacketSize }
}

function afterString(bytes: Uint8Array, at: number | undefined, end: number): number | undefined {
  if (at === undefined || at + 2 > end) return undefined
  const next = at + 2 + u16(bytes, at)
  return next > end ? undefined : next
}

function afterProperties(bytes: Uint8Array, at: number | undefined, end: number): number | undefined {
  if (at === undefined) return undefined
  const size = variableNumber(bytes, at)
  if (size === "more" || size === undefined) return undefined
  return size.end + size.value > end ? undefined : size.end + size.value
}

const MAXIMUM_PACKET_SIZE = 0x27
const USER_PROPERTY = 0x26
/** What a CONNECT may have besides (MQTT 5.0 section 3.1.2.11): numbers, by their bytes, and strings. */
const NUMBERS: Record<number, number> = { 0x11: 4, 0x17: 1, 0x19: 1, 0x21: 2, 0x22: 2, [MAXIMUM_PACKET_SIZE]: 4 }
const STRINGS = new Set([0x15, 0x16])

/** The one property that is read. What stands behind an unknown one is not. */
function packetSizeIn(bytes: Uint8Array, from: number, end: number): number | undefined {
  const size = variableNumber(bytes, from)
  let at: number | undefined = typeof size === "object" ? size.end : end
  while (at !== undefined && at < end) {
    const next = afterProperty(bytes, at, end)
    if (next !== undefined && bytes[at] === MAXIMUM_PACKET_SIZE) return u32(bytes, at + 1)
    at = next
  }
  return undefined
}

function afterProperty(bytes: Uint8Array, at: number, end: number): number | undefined {
  const id = bytes[at]!
  if (STRINGS.has(id)) return afterString(bytes, at + 1, end)
  if (id === USER_PROPERTY) return afterString(bytes, afterString(bytes, at + 1, end), end)
  const next = at + 1 + (NUMBERS[id] ?? end)
  return next > end ? undefined : next
}

/** MQTT 5.0 section 1.5.5: seven bits per byte, at most four bytes. */
function variableNumber(bytes: Uint8Array, from: number): { value: number; end: number } | "more" | undefined {
  let value = 0
  for (let i = 0; i < 4; i++) {
    const byte = bytes[from + i]
    if (byte === undefined) return "more"
    value += (byte & 0x7f) * 128 ** i
    if (byte < 0x80) return { value, end: from + i + 1 }
  }
  return undefined
}
