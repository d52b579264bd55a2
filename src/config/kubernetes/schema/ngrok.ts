// ngrok's AgentEndpoint, CloudEndpoint, NgrokTrafficPolicy and IPPolicy. What a traffic policy says is read by those who
// compile it; here it only has to be an object.
import { Schema } from "effect"
import { flag, text, word } from "../../schema/field.ts"
import { strict, type Note, type Shape } from "../shape.ts"
import type {
  AgentEndpointBody,
  CloudEndpointBody,
  IPPolicyBody,
  NgrokTrafficPolicyBody,
  TrafficPolicyReference,
} from "../types.ts"
import { cidr, like, listOf, namespaceName, objectName, textUpTo } from "./names.ts"
import { withSpec } from "./object.ts"

const { Record, Struct, Union, Unknown, optionalKey } = Schema

/** 2 KiB: a name has 253 characters. */
const LONGEST_URL = 2048
/** 4 KiB, as ngrok. */
const LONGEST_NOTE = 4096
/** 10,000 ranges: as everywhere. */
const MOST_RANGES = 10_000
/** As of a listener. */
const MOST_CERTIFICATES = 64

const policy = Record(Schema.String, Unknown).annotate({
  expected: "a traffic policy like { on_tcp_connect: [...] }",
})
const policyName = Struct({ name: objectName }).annotate({ expected: "a reference like { name: policy }" })
const secretName = Struct({ name: objectName, namespace: optionalKey(namespaceName) }).annotate({
  expected: "a reference like { name: certificate }",
})

const description = optionalKey(textUpTo(LONGEST_NOTE))
/** A text in old versions, a map in new ones. */
const metadata = optionalKey(
  Union([textUpTo(LONGEST_NOTE), Record(Schema.String, Unknown)]).annotate({ expected: "a text, or an object" }),
)

const bindings = optionalKey(
  listOf(
    like(/^(public|internal|kubernetes|k8s\/.+)$/u, LONGEST_NOTE, '"public", "internal" or "kubernetes"'),
    0,
    1,
    "binding",
  ),
)

/** `type` says which one there is; operators have not asked for it since. */
const choice = {
  type: optionalKey(word(["inline", "targetRef"])),
  inline: optionalKey(policy),
  targetRef: optionalKey(policyName),
}

function exactlyOne(written: TrafficPolicyReference) {
  const given = (["inline", "targetRef", "policy"] as const).filter((name) => written[name] !== undefined)
  const [first, second] = given
  if (first === undefined)
    return "inline or targetRef is missing: the policy itself, or the name of an NgrokTrafficPolicy"
  return second === undefined || { path: [second], issue: `goes against ${first}: one of the two is the policy` }
}

const trafficPolicy = Struct(choice)
  .check(Schema.makeFilter(exactlyOne))
  .annotate({ expected: "an object like { targetRef: { name: policy } }" })

const cloudTrafficPolicy = Struct({ ...choice, policy: optionalKey(Union([policy, textUpTo(1_000_000)])) })
  .check(Schema.makeFilter(exactlyOne))
  .annotate({ expected: "an object like { targetRef: { name: policy } }" })

const url = textUpTo(LONGEST_URL)

const agentSpec = Struct({
  url,
  upstream: Struct({
    url: text(1, LONGEST_URL, "a URL"),
    protocol: optionalKey(word(["http1", "http2"])),
    proxyProtocolVersion: optionalKey(word(["1", "2"])),
  }).annotate({ expected: "an object like { url: tcp://db:5432 }" }),
  trafficPolicy: optionalKey(trafficPolicy),
  description,
  metadata,
  bindings,
  clientCertificateRefs: optionalKey(listOf(secretName, 0, MOST_CERTIFICATES, "clientCertificateRefs")),
  tlsTermination: optionalKey(
    Struct({
      serverCertificateRef: secretName,
      mutualTLS: optionalKey(
        Struct({ clientCAsRef: secretName, mode: optionalKey(word(["require", "request"])) }).annotate({
          expected: "an object like { clientCAsRef: { name: ca } }",
        }),
      ),
    }).annotate({ expected: "an object like { serverCertificateRef: { name: certificate } }" }),
  ),
}).check(
  Schema.makeFilter(
    (spec: AgentEndpointBody["spec"]) =>
      spec.tlsTermination === undefined ||
      /^tls:\/\//iu.test(spec.url) || {
        path: ["tlsTermination"],
        issue: `needs a url that begins with tls://, found ${JSON.stringify(spec.url)}`,
      },
  ),
)

export const agentEndpoint: Shape<AgentEndpointBody> = strict(withSpec(agentSpec), ({ spec }) => [
  ...oldType(spec.trafficPolicy),
  ...(spec.upstream.protocol === undefined
    ? []
    : [{ path: ["spec", "upstream", "protocol"], message: "has no effect at layer 4" }]),
])

const cloudSpec = Struct({
  url,
  trafficPolicy: optionalKey(cloudTrafficPolicy),
  trafficPolicyName: optionalKey(objectName),
  poolingEnabled: optionalKey(flag),
  description,
  metadata,
  bindings,
}).check(
  Schema.makeFilter(
    ({ trafficPolicy: written, trafficPolicyName: name }: CloudEndpointBody["spec"]) =>
      written === undefined ||
      name === undefined || {
        path: ["trafficPolicyName"],
        issue: "goes against trafficPolicy: one of the two is the policy",
      },
  ),
)

export const cloudEndpoint: Shape<CloudEndpointBody> = strict(withSpec(cloudSpec), ({ spec }) => {
  const notes = [...oldType(spec.trafficPolicy)]
  if (spec.trafficPolicyName !== undefined)
    notes.push({
      path: ["spec", "trafficPolicyName"],
      message: `is deprecated; write trafficPolicy: { targetRef: { name: ${spec.trafficPolicyName} } }`,
    })
  if (spec.trafficPolicy?.policy !== undefined)
    notes.push({ path: ["spec", "trafficPolicy", "policy"], message: "is deprecated; write inline instead of policy" })
  return notes
})

function oldType(written: TrafficPolicyReference | undefined): Note[] {
  if (written?.type === undefined) return []
  return [{ path: ["spec", "trafficPolicy", "type"], message: "has no effect any more: inline or targetRef says it" }]
}

export const ngrokTrafficPolicy: Shape<NgrokTrafficPolicyBody> = strict(withSpec(Struct({ policy })))

export const ipPolicy: Shape<IPPolicyBody> = strict(
  withSpec(
    Struct({
      description,
      metadata,
      rules: optionalKey(
        listOf(
          Struct({ cidr, action: word(["allow", "deny"]), description, metadata }).annotate({
            expected: "a rule like { cidr: 10.0.0.0/8, action: allow }",
          }),
          0,
          MOST_RANGES,
          "rules",
        ),
      ),
    }).annotate({ expected: "an object like { rules: [...] }" }),
  ),
)
