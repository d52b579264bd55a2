// `tidegate status` without the command line around it: folder, then --ready, --json or --control=PATH.
import { status } from "../../src/cli/status.ts"

const [folder = ".", ...flags] = process.argv.slice(2)
process.exitCode = await status({
  folder,
  control: flags.find((flag) => flag.startsWith("--control="))?.slice("--control=".length),
  output: flags.includes("--json") ? "json" : "table",
  ready: flags.includes("--ready"),
})
