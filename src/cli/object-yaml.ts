// Kubernetes objects as YAML.
import { writeYaml } from "../config/yaml.ts"
import { printable } from "../observe/printable.ts"

/** Documents with `---` between them; a comment where there are none. */
export function asYaml(objects: readonly unknown[]): string {
  if (objects.length === 0) return "# no Kubernetes objects are served from this folder"
  return writeYaml(objects)
    .split("\n")
    .map((line) => printable(line))
    .join("\n")
    .trimEnd()
}
