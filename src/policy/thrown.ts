// Whatever a policy throws, as an Error that can be read: a throw may be of anything, and its getters may throw too.
import { describe } from "./describe.ts"

/** 1 KiB, as deny's reason: a message is a line in a log and a field in an event. */
export const LONGEST_MESSAGE = 1024

/** An error whose name, message and stack are texts, and whose message is bounded. Never throws. */
export function readable(thrown: unknown): Error {
  try {
    if (!(thrown instanceof Error)) return plain(text(thrown))
    const { name, message, stack } = thrown
    const copy = plain(text(message))
    copy.name = text(name)
    copy.stack = typeof stack === "string" ? stack : ""
    return copy
  } catch {
    return plain("something that cannot be shown")
  }
}

/** Without a stack: its own would name this file. */
function plain(message: string): Error {
  const error = new Error(message.slice(0, LONGEST_MESSAGE))
  error.stack = ""
  return error
}

function text(value: unknown): string {
  return typeof value === "string" ? value : describe(value)
}
