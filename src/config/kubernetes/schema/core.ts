// What every cluster has: Service, Endpoints, EndpointSlice, Secret, ConfigMap, Namespace. They come from dumps: only what
// matters here is looked at.
import { Schema } from "effect"
import { isIPv4, isIPv6 } from "node:net"
import { whole, word } from "../../schema/field.ts"
import type { Fault } from "../../schema/faults.ts"
import { didYouMean, suggest } from "../../../policy/suggest.ts"
import { lenient, type Shape } from "../shape.ts"
import type {
  ConfigMapBody,
  EndpointsBody,
  EndpointSliceBody,
  NamespaceBody,
  SecretBody,
  ServiceBody,
} from "../types.ts"
import { port } from "./names.ts"
import { withFields, withSpec } from "./object.ts"

const { Boolean, Record, String, Struct, Union, optionalKey } = Schema

const HEAD = ["apiVersion", "kind", "metadata", "status"]

const portName = optionalKey(String)

const targetPort = Union([whole(1, 65_535), String]).annotate({ expected: "a port, or the name of one" })

export const service: Shape<ServiceBody> = near(
  ["spec"],
  lenient(
    withSpec(
      Struct({
        type: optionalKey(word(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"])),
        clusterIP: optionalKey(String),
        externalName: optionalKey(String),
        ports: optionalKey(
          Schema.Array(
            Struct({
              name: portName,
              port,
              targetPort: optionalKey(targetPort),
              protocol: optionalKey(String),
              appProtocol: optionalKey(String),
            }).annotate({ expected: "a port like { port: 5432, targetPort: 5432 }" }),
          ),
        ),
        selector: optionalKey(Record(String, String)),
      }).annotate({ expected: "an object like { ports: [{ port: 5432 }] }" }),
    ),
  ),
)

const conditions = Struct({
  ready: optionalKey(Boolean),
  serving: optionalKey(Boolean),
  terminating: optionalKey(Boolean),
})

const slice = withFields({
  addressType: word(["IPv4", "IPv6", "FQDN"]),
  endpoints: optionalKey(
    Schema.Array(
      Struct({
        addresses: Schema.Array(String),
        conditions: optionalKey(conditions),
        hostname: optionalKey(String),
        targetRef: optionalKey(Struct({ kind: optionalKey(String), name: optionalKey(String) })),
        zone: optionalKey(String),
      }).annotate({ expected: 'an endpoint like { addresses: ["10.0.0.7"] }' }),
    ),
  ),
  ports: optionalKey(
    Schema.Array(
      Struct({ name: portName, port: optionalKey(port), protocol: optionalKey(String) }).annotate({
        expected: "a port like { port: 5432 }",
      }),
    ),
  ),
}).check(Schema.makeFilter(addressFaults))

const FAMILIES = { IPv4: isIPv4, IPv6: isIPv6, FQDN: () => true }

function addressFaults({ addressType, endpoints = [] }: EndpointSliceBody) {
  const belongs = FAMILIES[addressType]
  return endpoints.flatMap(({ addresses }, i) =>
    addresses.flatMap((address, j) =>
      belongs(address)
        ? []
        : [
            {
              path: ["endpoints", i, "addresses", j],
              issue: `expected an ${addressType} address, as addressType says, found ${JSON.stringify(address)}`,
            },
          ],
    ),
  )
}

export const endpointSlice: Shape<EndpointSliceBody> = near(["addressType", "endpoints", "ports"], lenient(slice))

const ip = String.check(
  Schema.makeFilter((value: string) => isIPv4(value) || isIPv6(value), { expected: "an IP address" }),
).annotate({ expected: "an IP address" })

const entries = Schema.Array(
  Struct({ ip, hostname: optionalKey(String) }).annotate({ expected: "an address like { ip: 10.0.0.7 }" }),
)

export const endpoints: Shape<EndpointsBody> = near(
  ["subsets"],
  lenient(
    withFields({
      subsets: optionalKey(
        Schema.Array(
          Struct({
            addresses: optionalKey(entries),
            notReadyAddresses: optionalKey(entries),
            ports: optionalKey(Schema.Array(Struct({ name: portName, port, protocol: optionalKey(String) }))),
          }),
        ),
      ),
    }),
  ),
)

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/u

function isBase64(value: string): boolean {
  const text = value.replace(/[\r\n]/gu, "")
  return text.length % 4 === 0 && BASE64.test(text)
}

const expected = "base64; what is not encoded goes into stringData"

const encoded = String.check(Schema.makeFilter(isBase64, { expected })).annotate({ expected, secret: true })

/** Nothing of what a Secret holds is shown, whatever is wrong with it. */
function secrets<S extends Schema.Codec<string, string>>(value: S) {
  return Record(String, value).annotate({ expected: "texts by their names", secret: true })
}

export const secret: Shape<SecretBody> = near(
  ["data", "stringData", "type", "immutable"],
  lenient(
    withFields({
      type: optionalKey(String.annotate({ secret: true })),
      data: optionalKey(secrets(encoded)),
      stringData: optionalKey(secrets(String.annotate({ expected: "a text", secret: true }))),
    }),
  ),
)

export const configMap: Shape<ConfigMapBody> = near(
  ["data", "binaryData", "immutable"],
  lenient(
    withFields({
      data: optionalKey(Record(String, String).annotate({ expected: "texts by their names" })),
      binaryData: optionalKey(
        Record(
          String,
          String.check(Schema.makeFilter(isBase64, { expected: "base64" })).annotate({ expected: "base64" }),
        ),
      ),
    }),
  ),
)

export const namespace: Shape<NamespaceBody> = () => ({ value: {}, notes: [] })

/** What a dump has more than we know is let through at its top, except for what is nearly a name that we do. */
function near<Body>(fields: readonly string[], shape: Shape<Body>): Shape<Body> {
  const known = [...HEAD, ...fields]
  return (value) => {
    const taken = shape(value)
    const names = typeof value === "object" && value !== null ? Object.keys(value) : []
    const slips = names
      .filter((name) => !known.includes(name) && suggest(name, known) !== undefined)
      .map((name): Fault => {
        const message = `there is no field ${JSON.stringify(name)}${didYouMean(name, known)}`
        return { path: [name], unknown: true, message }
      })
    if (slips.length === 0) return taken
    return { faults: "faults" in taken ? [...taken.faults, ...slips] : slips }
  }
}
