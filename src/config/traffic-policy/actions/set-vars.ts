// `set-vars`: variables for what comes after, of this policy and this connection alone. One after the other: later ones
// may read earlier ones, and set them anew.
import { describe } from "../../../policy/describe.ts"
import type { ActionKind } from "../action.ts"
import type { DeepTemplate } from "../cel/index.ts"
import { readDeep } from "../deep.ts"

/** 100: a policy names a handful. */
const MOST_VARS = 100
const SHAPE = 'a list of maps with one name each, like [{ tier: "gold" }, { port: "${conn.server_port}" }]'

interface Setting {
  readonly name: string
  readonly program: DeepTemplate
  readonly place: string
}

export const setVars: ActionKind = {
  type: "set-vars",
  read(fields) {
    if (!fields.required("vars", SHAPE)) return undefined
    const vars = fields.get("vars")
    if (!Array.isArray(vars)) {
      const isMap = typeof vars === "object" && vars !== null
      const hint = isMap ? 'write "- " before each name: the order counts' : undefined
      return fields.error("vars", `expected ${SHAPE}, found ${describe(vars)}`, { code: 2252, hint })
    }
    if (vars.length === 0) return fields.error("vars", "expected at least one variable", { code: 2223 })
    if (vars.length > MOST_VARS)
      return fields.error("vars", `${vars.length} variables; at most ${MOST_VARS}`, { code: 2255 })
    const settings: Setting[] = []
    for (const [i, entry] of vars.entries()) {
      const path = [...fields.at("vars"), i]
      const names = typeof entry === "object" && entry !== null && !Array.isArray(entry) ? Object.keys(entry) : []
      const [name, second] = names
      if (name === undefined || second !== undefined) {
        const found = names.length > 1 ? `a map of ${names.length} names` : describe(entry)
        const hint = names.length > 1 ? 'write "- " before each name: the order counts' : undefined
        fields.complaints.error(path, `expected a map with one name, found ${found}`, { code: 2252, hint })
        continue
      }
      if (!/^[A-Za-z_]\w*$/.test(name))
        fields.complaints.warn(path, `expressions read it as vars[${JSON.stringify(name)}]`)
      const program = readDeep(fields, "vars", (entry as Readonly<Record<string, unknown>>)[name], [i, name])
      if (program !== undefined) settings.push({ name, program, place: fields.complaints.shownPlace([...path, name]) })
    }
    return {
      type: "set-vars",
      decides: "never",
      programs: settings.map(({ program }) => program),
      sets: settings.map(({ name }) => name),
      compile: () => (run) => {
        for (const { name, place, program } of settings) run.facts.setVar(name, run.value(program, place))
        return undefined
      },
    }
  },
}
