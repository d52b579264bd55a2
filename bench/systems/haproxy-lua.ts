// HAProxy with the policy in Lua: its look-up in the ranges is HAProxy's own, as its documentation shows.
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { find } from "../process.ts"
import { ranges } from "../ranges.ts"
import type { Policy, System } from "../system.ts"
import { OWN_ANSWER } from "../wire.ts"
import { configuration, missing, version } from "./haproxy.ts"

const WAITS: Partial<Record<Policy, string>> = { promise: "core.yield()", timer: "core.msleep(1)" }

const script = (policy: Policy, list: string) => `
local office = Map.new("${list}", Map._ip)

core.register_action("policy", { "tcp-req" }, function(txn)
  ${WAITS[policy] ?? ""}
  if not office:lookup(txn.sf:src()) then return act.DENY end
  txn:set_var("txn.target", "web")
end)

core.register_service("answer", "tcp", function(applet)
  applet:send(${JSON.stringify(OWN_ANSWER)})
end)
`

export const haproxyLua: System = {
  name: "haproxy-lua",
  missing,
  policies: ["list", "promise", "timer", "deny", "answer", "tell"],
  buffers: true,
  reloads: false,
  version: () => `${version()} with Lua`,
  prepare(task, folder) {
    const lua = join(folder, "policy.lua")
    const list = join(folder, "map")
    const file = join(folder, "haproxy.cfg")
    const rules = [
      // An action may only sleep inside this. About one in a hundred wakes no sooner than its end.
      ...(task.policy === "timer" ? ["tcp-request inspect-delay 1s"] : []),
      ...(task.policy === "tell" ? [] : ["tcp-request content lua.policy"]),
      ...(task.policy === "answer" || task.policy === "tell"
        ? ["tcp-request content use-service lua.answer"]
        : ["use_backend %[var(txn.target)]"]),
    ]
    writeFileSync(file, configuration(task, folder, [`lua-load ${lua}`], rules))
    writeFileSync(
      list,
      ranges(task.policy)
        .map((range) => `${range} 1\n`)
        .join(""),
    )
    writeFileSync(lua, script(task.policy, list))
    return [find("haproxy")!, "-W", "-f", file]
  },
}
