// `deny` and `close-connection`: the connection ends here, and no upstream hears of it. A client whose hello was seen gets
// the alert `access_denied` before the FIN, as from any other policy; nothing else is sent. ngrok does not bill what
// close-connection ends; here both cost the same, next to nothing.
import { deny as denied } from "../../../policy/decision.ts"
import type { ActionKind } from "../action.ts"

function closing(type: "deny" | "close-connection"): ActionKind {
  return {
    type,
    read(fields, { title }) {
      fields.refuse("status_code", "status codes are for HTTP: a TCP or TLS connection is closed without one", {
        hint: "take it out, or answer in bytes with custom-response",
      })
      const decision = denied(`${type}: ${title}`)
      return { type, decides: "always", programs: [], compile: () => () => decision }
    },
  }
}

export const deny = closing("deny")
export const closeConnection = closing("close-connection")
