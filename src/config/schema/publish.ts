// `bun run schema`: writes what is made from the schema, for editors and for readers.
import { readFileSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { jsonSchema } from "./json-schema.ts"
import { withReference } from "./reference.ts"

const ROOT = resolve(import.meta.dir, "../../..")
const PAGE = join(ROOT, "docs/configuration.md")

writeFileSync(join(ROOT, "schema/tidegate.schema.json"), jsonSchema())
writeFileSync(PAGE, withReference(readFileSync(PAGE, "utf8")))
