// sniproxy, which routes by the Host of the first request or the name in a ClientHello, and has no list of ranges.
import { writeFileSync } from "node:fs"
import { userInfo } from "node:os"
import { join } from "node:path"
import { find } from "../process.ts"
import { firstLine, serverNames, type System } from "../system.ts"

export const sniproxy: System = {
  name: "sniproxy",
  missing: () => (find("sniproxy") === undefined ? "sniproxy is not installed" : undefined),
  policies: ["list", "sni"],
  withoutList: true,
  buffers: false,
  reloads: false,
  version: () => firstLine([find("sniproxy")!, "-V"]),
  prepare(task, folder) {
    const file = join(folder, "sniproxy.conf")
    const hosts = task.policy === "sni" ? serverNames(task).map((name) => name.replaceAll(".", "\\.")) : ["bench"]
    const config = `${userInfo().uid === 0 ? "user root" : ""}
pidfile ${join(folder, "pid")}
error_log {
  filename ${join(folder, "errors")}
  priority alert
}
listener ${task.address}:${task.first} {
  protocol ${task.policy === "sni" ? "tls" : "http"}
  table hosts
}
table hosts {
${hosts.map((host) => `  ${host} 127.0.0.1:${task.upstream}\n`).join("")}}
`
    writeFileSync(file, config)
    return [find("sniproxy")!, "-f", "-c", file]
  },
}
