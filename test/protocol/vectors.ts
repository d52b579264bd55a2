// Captured cases from ../shared beside the project; where that is absent, what needs them is skipped.
import { existsSync, readFileSync } from "node:fs"
import { resolve } from "node:path"

const folder = resolve(import.meta.dir, "../../../shared/vectors")

/** The file's content, or `undefined` with a line that says so. */
export function vectors<A>(file: string): A | undefined {
  const path = resolve(folder, file)
  if (existsSync(path)) return JSON.parse(readFileSync(path, "utf8"))
  console.log(`skipped: what ../shared/vectors/${file} asks for (it is absent)`)
  return undefined
}

export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, "hex"))
}

export interface HelloCase {
  readonly id: string
  readonly hex: string
  readonly expected: Readonly<Record<string, unknown>> & {
    readonly result?: string
    readonly sni?: string | null
    readonly alpn?: readonly string[] | null
  }
  readonly verified_by?: Readonly<Record<string, readonly string[]>>
}

export interface FlowCase {
  readonly id: string
  readonly first_speaker: "client" | "server"
  readonly client_first_bytes: string
  readonly expected: { readonly protocol: string }
}

export interface MatcherCase {
  readonly id: string
  readonly transport: "tcp" | "udp"
  readonly hex: string
  readonly protocol: string
  readonly expected: { readonly match: boolean }
  readonly options?: Readonly<Record<string, unknown>>
}
