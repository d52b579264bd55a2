// nginx's stream module with the policy in njs: the ranges as numbers, asked by binary search, as Tidegate does it.
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { find } from "../process.ts"
import { ranges } from "../ranges.ts"
import type { Policy, System } from "../system.ts"
import { OWN_ANSWER } from "../wire.ts"
import { configuration, missingModules, version } from "./nginx.ts"

const WAITS: Partial<Record<Policy, string>> = {
  promise: "await Promise.resolve()",
  timer: "await new Promise((resolve) => setTimeout(resolve, 1))",
}

function bounds(policy: Policy): { low: number[]; high: number[] } {
  const low: number[] = []
  const high: number[] = []
  for (const range of ranges(policy)) {
    const [address, bits] = range.split("/") as [string, string]
    const start = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0)
    low.push(start)
    high.push(start + 2 ** (32 - Number(bits)) - 1)
  }
  return { low, high }
}

function script(policy: Policy): string {
  const { low, high } = bounds(policy)
  const wait = WAITS[policy]
  return `const low = ${JSON.stringify(low)}
const high = ${JSON.stringify(high)}

function listed(text) {
  const parts = text.split(".")
  const address = ((parts[0] * 256 + parts[1] * 1) * 256 + parts[2] * 1) * 256 + parts[3] * 1
  let from = 0
  let to = low.length
  while (from < to) {
    const middle = (from + to) >> 1
    if (low[middle] > address) to = middle
    else from = middle + 1
  }
  return from > 0 && high[from - 1] >= address
}

${wait === undefined ? "" : "async "}function access(s) {
  ${wait ?? ""}
  if (!listed(s.remoteAddress)) return s.deny()
  s.variables.target = "web"
  s.allow()
}

function text(s) {
  return listed(s.remoteAddress) ? ${JSON.stringify(OWN_ANSWER)} : ""
}

export default { access, text }
`
}

export const nginxNjs: System = {
  name: "nginx-njs",
  missing: () => missingModules("ngx_stream_js_module.so"),
  policies: ["list", "promise", "timer", "deny", "answer"],
  buffers: true,
  reloads: false,
  version: () => `${version()} with njs`,
  prepare(task, folder) {
    const js = join(folder, "policy.js")
    writeFileSync(js, script(task.policy))
    const head = [`js_import main from ${js};`, "js_var $target;", "js_set $text main.text;"]
    const body = task.policy === "answer" ? ["return $text;"] : ["js_access main.access;", "proxy_pass $target;"]
    const file = join(folder, "nginx.conf")
    writeFileSync(file, configuration(task, folder, ["ngx_stream_js_module.so"], head, body))
    return [find("nginx")!, "-c", file, "-e", "stderr"]
  },
}
