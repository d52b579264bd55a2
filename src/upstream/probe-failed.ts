// Why a probe failed, in words for whoever runs the target.
import { Schema } from "effect"
import { readable } from "../policy/thrown.ts"

/** A target did not pass its check. */
export class ProbeFailed extends Schema.TaggedError<ProbeFailed>()("ProbeFailed", {
  message: Schema.String,
  /** This machine could not ask, or hear: it has no descriptor or port left, or stood still. Says nothing about the target. */
  isOurs: Schema.Boolean,
}) {}

/** What a machine says that has run out of something. */
const OURS: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EADDRNOTAVAIL"])

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "refused",
  ECONNRESET: "it reset the connection",
  EPIPE: "it closed the connection",
  EHOSTUNREACH: "no route to it (EHOSTUNREACH)",
  ENETUNREACH: "no route to it (ENETUNREACH)",
  ENOENT: "there is no such socket",
  EACCES: "the gateway may not connect to it (EACCES)",
  EAGAIN: "its queue is full",
}

export function failed(message: string): ProbeFailed {
  return new ProbeFailed({ message, isOurs: false })
}

/** An error of a socket. */
export function failedBy(error: unknown): ProbeFailed {
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined
  const message = code === undefined ? readable(error).message : (WORDS[code] ?? code)
  return new ProbeFailed({ message, isOurs: code !== undefined && OURS.has(code) })
}
