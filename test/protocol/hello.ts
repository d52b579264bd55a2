// ClientHellos to order, whole or broken.

export interface HelloOptions {
  readonly sni?: string
  readonly alpn?: readonly string[]
  readonly versions?: readonly number[]
  readonly ciphers?: readonly number[]
  /** Further extensions: type and content. */
  readonly extensions?: readonly (readonly [number, readonly number[]])[]
}

const be16 = (value: number) => [value >> 8, value & 255]
const be24 = (value: number) => [value >> 16, (value >> 8) & 255, value & 255]
export const ascii = (text: string) => Array.from(text, (c) => c.charCodeAt(0))
export const zeros = (count: number) => Array.from({ length: count }, () => 0)
const sized16 = (content: readonly number[]) => [...be16(content.length), ...content]
const sized8 = (content: readonly number[]) => [content.length, ...content]

/** The handshake message. */
export function helloMessage(options: HelloOptions = {}): number[] {
  const extensions: (readonly [number, readonly number[]])[] = []
  if (options.sni !== undefined) extensions.push([0, serverName(options.sni)])
  if (options.alpn !== undefined) extensions.push([16, sized16(options.alpn.flatMap((name) => sized8(ascii(name))))])
  if (options.versions !== undefined) extensions.push([43, sized8(options.versions.flatMap(be16))])
  extensions.push(...(options.extensions ?? []))
  const body = [
    3,
    3,
    ...Array.from({ length: 32 }, (_, i) => i),
    0,
    ...sized16((options.ciphers ?? [0x1301, 0xc02f]).flatMap(be16)),
    1,
    0,
    ...sized16(extensions.flatMap(([type, content]) => [...be16(type), ...sized16(content)])),
  ]
  return [1, ...be24(body.length), ...body]
}

/** The content of a server_name extension with one host name. */
export function serverName(name: string): number[] {
  return sized16([0, ...sized16(ascii(name))])
}

export function record(content: readonly number[], type = 22, version = 0x0301): number[] {
  return [type, ...be16(version), ...be16(content.length), ...content]
}

/** A whole hello in one record. */
export function hello(options: HelloOptions = {}): Uint8Array {
  return Uint8Array.from(record(helloMessage(options)))
}

/** The message of a hello in records, cut at these offsets. */
export function cutRecords(message: readonly number[], ...at: number[]): Uint8Array {
  const ends = [...at, message.length]
  return Uint8Array.from(ends.flatMap((end, i) => record(message.slice(i === 0 ? 0 : ends[i - 1], end))))
}

/** What the records of a hello carry. */
export function messageOf(bytes: Uint8Array): number[] {
  const message: number[] = []
  for (let at = 0; at + 5 <= bytes.length;) {
    const length = (bytes[at + 3]! << 8) | bytes[at + 4]!
    message.push(...bytes.subarray(at + 5, at + 5 + length))
    at += 5 + length
  }
  return message
}
