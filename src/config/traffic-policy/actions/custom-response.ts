// `custom-response`, beyond ngrok: bytes for the client, then the end. At layer 4 an answer has no status and no headers.
import { Buffer } from "node:buffer"
import { respond } from "../../../policy/decision.ts"
import type { ActionKind, Step } from "../action.ts"
import { textOf } from "../cel/index.ts"
import type { Fields } from "../fields.ts"

/** 1 MiB, as a file. */
const LONGEST = 1024 * 1024
/** 5 minutes: who is held for longer is not held for an answer. */
const LONGEST_DELAY = 3e5

export const customResponse: ActionKind = {
  type: "custom-response",
  read(fields) {
    for (const name of ["status_code", "headers"])
      fields.refuse(
        name,
        `${name.replace("_", " ")} of an answer are for HTTP: at layer 4 the body is all that is sent`,
        {
          hint: "write what the client's protocol says into body",
        },
      )
    const delay = fields.duration("delay", { from: 0, to: LONGEST_DELAY }, "2s")
    const options = delay === undefined ? {} : { delay }
    const type = "custom-response"
    if (fields.has("body") && fields.has("body_base64"))
      return fields.error("body_base64", "body and body_base64 exclude each other", { code: 2231 })
    if (fields.has("body_base64")) {
      const bytes = bytesOf(fields)
      if (bytes === undefined) return undefined
      const decision = respond(bytes, options)
      return { type, decides: "always", programs: [], compile: () => () => decision }
    }
    if (!fields.required("body", "a text, or body_base64 with bytes")) return undefined
    if (fields.get("body") === "") {
      const decision = respond("", options)
      return { type, decides: "always", programs: [], compile: () => () => decision }
    }
    const template = fields.template("body", { most: LONGEST, what: "a text" })
    if (template === undefined) return undefined
    const place = fields.complaints.shownPlace(fields.at("body"))
    const compile = (): Step => {
      if (!template.isStatic) return (run) => respond(textOf(run.value(template, place)), options)
      // Without `${}` it reads no facts: the first answer is all of them.
      let decision: ReturnType<typeof respond> | undefined
      return (run) => (decision ??= respond(textOf(run.value(template, place)), options))
    }
    return { type, decides: "always", programs: [template], compile }
  },
}

function bytesOf(fields: Fields): Uint8Array | undefined {
  const text = fields.text("body_base64", { most: LONGEST, what: "bytes in base64" })
  if (text === undefined) return undefined
  const digits = text.replaceAll(/\s/g, "")
  if (/^[A-Za-z0-9+/]*={0,2}$/.test(digits) && digits.replace(/=+$/, "").length % 4 !== 1)
    return new Uint8Array(Buffer.from(digits, "base64"))
  return fields.error("body_base64", "this is no base64: expected A-Z, a-z, 0-9, + and /", { code: 2228 })
}
