// The systems of the comparison: what is measured first, then the floor, then the peers.
import type { System } from "./system.ts"
import { floor } from "./systems/floor.ts"
import { haproxyLua } from "./systems/haproxy-lua.ts"
import { haproxy } from "./systems/haproxy.ts"
import { nginxNjs } from "./systems/nginx-njs.ts"
import { nginx } from "./systems/nginx.ts"
import { sniproxy } from "./systems/sniproxy.ts"
import { sslh } from "./systems/sslh.ts"
import { tidegate } from "./systems/tidegate.ts"

export const OWN: readonly System[] = [tidegate, floor]
export const PEERS: readonly System[] = [haproxy, haproxyLua, nginx, nginxNjs, sslh, sniproxy]
