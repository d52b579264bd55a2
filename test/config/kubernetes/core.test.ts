// Services, endpoints, Secrets and ConfigMaps, as clusters print them: lenient, but not with what would be used. Nothing of
// a Secret is ever shown.
import { describe, expect, test } from "bun:test"
import { readObject } from "../../../src/config/kubernetes/read.ts"
import { documentsOf } from "../../helper/cluster-of-objects.ts"
import { problemsOf, reading } from "../../helper/read-objects.ts"

test("a Service out of a cluster", () => {
  const { problems, values, warnings } = reading(`
apiVersion: v1
kind: Service
metadata: { name: db, namespace: apps }
spec:
  allocateLoadBalancerNodePorts: true
  clusterIP: 10.0.0.9
  clusterIPs: [10.0.0.9]
  externalTrafficPolicy: Cluster
  internalTrafficPolicy: Cluster
  ipFamilies: [IPv4]
  ipFamilyPolicy: SingleStack
  ports:
  - { appProtocol: null, name: postgres, nodePort: 31000, port: 5432, protocol: TCP, targetPort: postgres }
  - { port: 80, targetPort: 8080 }
  selector: { app: db }
  sessionAffinity: None
  type: LoadBalancer
  somethingNew: { x: 1 }
status: { loadBalancer: {} }
`)
  expect({ problems, warnings }).toEqual({ problems: [], warnings: [] })
  expect(values[0]?.body).toMatchObject({
    spec: {
      type: "LoadBalancer",
      clusterIP: "10.0.0.9",
      ports: [
        { name: "postgres", port: 5432, protocol: "TCP", targetPort: "postgres" },
        { port: 80, targetPort: 8080 },
      ],
    },
  })
})

const service = (spec: string) => `apiVersion: v1\nkind: Service\nmetadata: { name: db }\nspec: ${spec}`

const slice = (rest: string) => `apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: { name: db }\n${rest}`

describe("what would be used is looked at", () => {
  test.each([
    [
      service("{ ports: [{ name: a }] }"),
      "4:17 spec.ports[0]: port is missing: expected a whole number from 1 to 65,535",
    ],
    [
      service("{ ports: [{ port: '1' }] }"),
      '4:25 spec.ports[0].port: expected a whole number from 1 to 65,535, found "1" (in quotes this is a text: write it without them)',
    ],
    [
      service("{ type: clusterip }"),
      '4:15 spec.type: expected "ClusterIP", "NodePort", "LoadBalancer" or "ExternalName", found "clusterip"; did you mean "ClusterIP"?',
    ],
    [
      service("{ selector: { version: 1 } }"),
      "4:30 spec.selector.version: expected a text, found 1 (without quotes this is a number: write it in quotes)",
    ],
    [`${service("{}")}\nspecs: {}`, '5:1 there is no field "specs"; did you mean "spec"?'],
    [slice("endpoints: []"), '1:1 addressType is missing: expected "IPv4", "IPv6" or "FQDN"'],
    [
      slice("addressType: IPv4\nendpoints: [{ addresses: [10.0.0.7, '2001:db8::7'] }]"),
      '5:37 endpoints[0].addresses[1]: expected an IPv4 address, as addressType says, found "2001:db8::7"',
    ],
    [slice("addressType: IPv4\nendpoint: []"), '5:1 there is no field "endpoint"; did you mean "endpoints"?'],
    [
      "apiVersion: v1\nkind: Endpoints\nmetadata: { name: db }\nsubsets: [{ addresses: [{ ip: db }] }]",
      '4:31 subsets[0].addresses[0].ip: expected an IP address, found "db"',
    ],
    [
      "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: db }\ndata: { a: 1 }",
      "4:12 data.a: expected a text, found 1 (without quotes this is a number: write it in quotes)",
    ],
    [
      "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: db }\nbinaryData: { a: '*' }",
      '4:18 binaryData.a: expected base64, found "*"',
    ],
  ])("%s", (text, problem) => {
    expect(problemsOf(text)).toEqual([problem])
  })
})

const secret = (rest: string) => `apiVersion: v1\nkind: Secret\nmetadata: { name: db }\n${rest}`

describe("a Secret", () => {
  test("data is base64, also over several lines", () => {
    expect(
      problemsOf(
        secret(
          "type: kubernetes.io/tls\nimmutable: true\ndata: { tls.crt: aGVsbG8=, tls.key: '' }\nstringData: { a: b }",
        ),
      ),
    ).toEqual([])
    expect(problemsOf(secret("data:\n  a: |\n    aGVs\n    bG8=\n"))).toEqual([])
  })

  test.each([
    [
      "data: { password: hunter-two }",
      "4:19 data.password: expected base64; what is not encoded goes into stringData, found another text",
    ],
    [
      "data: { pin: 271828 }",
      "4:14 data.pin: expected base64; what is not encoded goes into stringData, found a number",
    ],
    ["stringData: { pin: 271828 }", "4:20 stringData.pin: expected a text, found a number"],
    ["stringData: { pin: true }", "4:20 stringData.pin: expected a text, found a boolean"],
    ["data: hunter-two", "4:7 data: expected texts by their names, found another text"],
    ["data: 271828", "4:7 data: expected texts by their names, found a number"],
    ["data: [hunter-two]", "4:1 data: expected texts by their names, found a list"],
    ["strinData: { password: hunter-two }", '4:1 there is no field "strinData"; did you mean "stringData"?'],
    ["type: [hunter-two]", "4:1 type: expected a text, found a list"],
  ])("%s is refused, and not shown", (rest, problem) => {
    const [found = ""] = problemsOf(secret(rest))
    expect(found.replace(/ \(.*\)$/, "")).toBe(problem)
    for (const shown of ["hunter", "271828", "true"]) expect(found).not.toContain(shown)
  })

  test("not in what a diagnostic has around its message either", () => {
    const { problems } = readObject(documentsOf(secret("data: { pin: 271828 }"))[0]!)
    expect(problems).toHaveLength(1)
    expect(JSON.stringify({ ...problems[0], frame: undefined })).not.toContain("271828")
  })
})
