// The shape of an ngrok agent configuration, `version: 3`, as far as it is about endpoints of ours.
import { Schema } from "effect"
import { flag, optional, required, text } from "../schema/field.ts"

/** 255 and 4096 characters, as ngrok (ERR_NGROK_18012, ERR_NGROK_18013). */
const [LONGEST_DESCRIPTION, LONGEST_METADATA] = [255, 4096]
/** 128 KiB: a chain of certificates has some kB. */
const LONGEST_PEM = 128 * 1024

const secret = Schema.String.check(Schema.isMaxLength(LONGEST_PEM)).annotate({ expected: "a PEM text", secret: true })

const termination = Schema.Struct({
  server_certificate: optional(secret, { description: "PEM, leaf first." }),
  server_private_key: optional(secret, { description: "PEM." }),
  mutual_tls_certificate_authorities: optional(
    Schema.Union([secret, Schema.Array(secret)]).annotate({ expected: "a PEM text or a list of these" }),
    { description: "Who may have signed certificates of clients: PEM." },
  ),
}).annotate({ expected: "an object" })

const upstream = Schema.Struct({
  url: required(Schema.Unknown.annotate({ expected: 'a port, or a URL like "tcp://localhost:5432"' }), {
    description: "Where connections lead.",
  }),
  protocol: optional(Schema.Unknown, { description: "Only for http:// endpoints." }),
  proxy_protocol: optional(Schema.Literals([1, 2, "1", "2"]).annotate({ expected: "1 or 2" }), {
    description: "The version of the PROXY header that the upstream gets.",
  }),
}).annotate({ expected: "an object with a url" })

export const endpoint = Schema.Struct({
  name: required(text(1, LONGEST_DESCRIPTION, "a name"), { description: "Unique." }),
  url: required(Schema.Unknown.annotate({ expected: 'a URL like "tcp://:5432"' }), { description: "" }),
  bindings: optional(Schema.Unknown, { description: "One of public, internal and kubernetes." }),
  description: optional(
    Schema.NullOr(
      Schema.String.check(
        Schema.isMaxLength(LONGEST_DESCRIPTION, {
          expected: `a text of at most ${LONGEST_DESCRIPTION} characters (ERR_NGROK_18012)`,
        }),
      ),
    ).annotate({ expected: "a text" }),
    { description: "For people." },
  ),
  metadata: optional(Schema.Unknown, { description: "For people and their programs." }),
  pooling_enabled: optional(flag, { description: "Whether endpoints with the same URL share its connections." }),
  traffic_policy: optional(Schema.Unknown, { description: "The policy." }),
  traffic_policy_file: optional(text(1, LONGEST_METADATA, "the name of a file"), { description: "The policy's file." }),
  agent_tls_termination: optional(termination, { description: "Ends TLS before the upstream." }),
  upstream: required(upstream, { description: "Where connections lead that the policy leaves to it." }),
}).annotate({ expected: "an object" })

export type WrittenEndpoint = typeof endpoint.Type
export { LONGEST_METADATA }

/** What stands beside `endpoints`, or below `agent`, and is about how the agent reaches ngrok. */
export const AGENT_SETTINGS = [
  "agent",
  "api_key",
  "authtoken",
  "connect_cas",
  "connect_timeout",
  "connect_url",
  "console_ui",
  "console_ui_color",
  "crl_noverify",
  "dns_resolver_ips",
  "heartbeat_interval",
  "heartbeat_tolerance",
  "inspect_db_size",
  "log",
  "log_format",
  "log_level",
  "metadata",
  "proxy_url",
  "region",
  "remote_management",
  "root_cas",
  "server_addr",
  "update_channel",
  "update_check",
  "web_addr",
  "web_allow_hosts",
]
