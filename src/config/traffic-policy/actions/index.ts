// The actions of on_tcp_connect by their types, and what to write in place of those that are for HTTP.
import type { ActionKind } from "../action.ts"
import { circuitBreaker } from "./circuit-breaker.ts"
import { customResponse } from "./custom-response.ts"
import { closeConnection, deny } from "./deny.ts"
import { forward } from "./forward.ts"
import { forwardInternal } from "./forward-internal.ts"
import { log } from "./log.ts"
import { rateLimit } from "./rate-limit.ts"
import { restrictIps } from "./restrict-ips.ts"
import { setVars } from "./set-vars.ts"
import { terminateTls } from "./terminate-tls.ts"
import { typescript } from "./typescript.ts"

const KINDS: readonly ActionKind[] = [
  deny,
  closeConnection,
  forwardInternal,
  restrictIps,
  log,
  setVars,
  terminateTls,
  customResponse,
  rateLimit,
  circuitBreaker,
  forward,
  typescript,
]

export const ACTIONS: ReadonlyMap<string, ActionKind> = new Map(KINDS.map((kind) => [kind.type, kind]))

const NO_HEADERS =
  "connections have no headers: log or set-vars keep what is known of one, forward sends a PROXY header"
const WHO = "at layer 4 clients are known by their certificate (terminate-tls) or by their address (restrict-ips)"
const OWN = "write a function of your own: { type: typescript, config: { module: ./guard.ts } }"

/** Actions that ngrok has for HTTP alone, and what comes nearest at layer 4. */
export const NOT_HERE: ReadonlyMap<string, string> = new Map([
  ["add-headers", NO_HEADERS],
  ["remove-headers", NO_HEADERS],
  ["basic-auth", WHO],
  ["jwt-validation", WHO],
  ["oauth", WHO],
  ["oidc", WHO],
  ["openid-connect", WHO],
  ["saml", WHO],
  ["openai-auth", WHO],
  ["verify-webhook", WHO],
  ["ai-gateway", "requests are not looked at: { type: forward, config: { url: ... } } relays the connection"],
  ["compress-response", "what is relayed is not looked at: compress at the upstream"],
  ["http-request", OWN],
  ["owasp-crs-request", `requests are not looked at: ${OWN}`],
  ["owasp-crs-response", `answers are not looked at: ${OWN}`],
  ["redirect", "a connection cannot be sent elsewhere by name: { type: forward, config: { url: ... } } relays it"],
  ["url-rewrite", "requests are not looked at: { type: forward, config: { url: ... } } chooses the target"],
  ["sse-find-replace", `what is relayed is not looked at: ${OWN}`],
  ["find-replace", `what is relayed is not looked at: ${OWN}`],
  ["serve-static", "custom-response answers with bytes of your own"],
  ["webhook-verification", WHO],
  ["websocket-tcp-converter", "nothing converts WebSocket: { type: forward, config: { url: ... } } relays TCP"],
])
