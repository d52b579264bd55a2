// `log`: fields for the closing event, as `connection.log` adds them.
import { describe } from "../../../policy/describe.ts"
import { valueWithoutSecrets } from "../../told-secrets.ts"
import type { ActionKind } from "../action.ts"
import { readDeep } from "../deep.ts"
import { plain } from "../cel/index.ts"

export const log: ActionKind = {
  type: "log",
  read(fields) {
    if (!fields.required("metadata", "an object of fields")) return undefined
    const metadata = fields.get("metadata")
    if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata))
      return fields.error("metadata", `expected an object of fields, found ${describe(metadata)}`, { code: 2203 })
    const program = readDeep(fields, "metadata", metadata)
    if (program === undefined) return undefined
    const place = fields.complaints.shownPlace(fields.at("metadata"))
    return {
      type: "log",
      decides: "never",
      programs: [program],
      compile({ isRead }) {
        const isResult = isRead("log")
        return (run) => {
          const found = valueWithoutSecrets(plain(run.value(program, place)))
          if (typeof found === "object" && found !== null && !isList(found)) {
            run.visit.connection.log({ ...found })
            if (isResult) run.facts.setResult("log", { metadata: found })
          }
          return undefined
        }
      },
    }
  },
}

function isList(value: object): value is readonly never[] {
  return Array.isArray(value)
}
