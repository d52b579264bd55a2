// sniproxy, which routes by the Host of the first request and has no list of ranges.
import { writeFileSync } from "node:fs"
import { userInfo } from "node:os"
import { join } from "node:path"
import { find } from "../process.ts"
import { firstLine, type System } from "../system.ts"

export const sniproxy: System = {
  name: "sniproxy",
  missing: () => (find("sniproxy") === undefined ? "sniproxy is not installed" : undefined),
  policies: ["list"],
  withoutList: true,
  buffers: false,
  reloads: false,
  version: () => firstLine([find("sniproxy")!, "-V"]),
  prepare(task, folder) {
    const file = join(folder, "sniproxy.conf")
    const config = `${userInfo().uid === 0 ? "user root" : ""}
pidfile ${join(folder, "pid")}
error_log {
  filename ${join(folder, "errors")}
  priority alert
}
listener ${task.address}:${task.first} {
  protocol http
  table hosts
}
table hosts {
  bench 127.0.0.1:${task.upstream}
}
`
    writeFileSync(file, config)
    return [find("sniproxy")!, "-f", "-c", file]
  },
}
