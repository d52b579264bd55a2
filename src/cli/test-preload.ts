// Preloaded by `tidegate test`: gives tests the gateway's own `tidegate` and `effect`, wherever their folder is.
import { install } from "../config/plugin.ts"
import { openNamed } from "./test-geoip.ts"

install()
await openNamed()
