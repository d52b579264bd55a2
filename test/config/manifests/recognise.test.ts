import { expect, test } from "bun:test"
import { looksLikeManifest, recognise } from "../../../src/config/manifests/recognise.ts"
import { readYaml } from "../../../src/config/yaml.ts"

function formats(text: string): string[] {
  const source = { file: "a.yaml", path: "/a.yaml", digest: "", savedAt: 0, shown: text }
  return readYaml("/a.yaml", text).documents.flatMap(({ index, place, value }) =>
    recognise({ source, index, value, place }).map((found) =>
      found.format === "problem"
        ? `${found.problem.line}:${found.problem.column} ${found.problem.message}`
        : found.format === "object"
          ? Object.values(found.document.head).join(" ")
          : found.format,
    ),
  )
}

test.each([
  ["on_tcp_connect: []", "traffic-policy"],
  ["on_http_request: []", "traffic-policy"],
  ['{"listen":"tcp://:1","on_tcp_connect":[]}', "traffic-policy"],
  ['  {\n  "a": {"b": "}"},\n  "on_tcp_connect": []}', "traffic-policy"],
  ["--- {on_tcp_connect: []}", "traffic-policy"],
  ["{apiVersion: v1, kind: Service, metadata: {name: a}}", " v1 Service a default"],
  ["apiVersion: v1\nkind: ServiceList\nitems: [{metadata: {name: a}}]", " v1 Service a default"],
  ["version: 3\nendpoints: []", "agent"],
  ["version: 2\nagent: {}", "agent"],
  ["apiVersion: v1\nkind: Service\nmetadata: {name: a}", " v1 Service a default"],
  [
    "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: a, namespace: x}",
    "gateway.networking.k8s.io v1 GatewayClass a ",
  ],
  [
    '{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a.b", "namespace": "x"}}',
    "apps v1 Deployment a.b x",
  ],
])("%j is %s", (text, format) => {
  expect(looksLikeManifest(text)).toBe(true)
  expect(formats(text)).toEqual([format])
})

test("a list is what its items are, at their places", () => {
  const text =
    "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: a}\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: B}\n"
  expect(formats(text)).toEqual([" v1 Secret a default", expect.stringMatching(/^9:20 .*"B" is not a name/)])
})

test.each([
  ["on_tcp_conect: []", 'there is no phase "on_tcp_conect"; did you mean "on_tcp_connect"?'],
  ["apiVersion: v1", "a Kubernetes object needs a kind"],
  ["kind: TCPRoute\nspec: {}", "1:1 apiVersion: a Kubernetes object needs an apiVersion"],
  [
    "kind: TCPRoute\napiversion: v1\nmetadata: {name: a}",
    'needs an apiVersion like "gateway.networking.k8s.io/v1", found "apiversion"',
  ],
  ["apiVersion: 1\nkind: Service", "needs an apiVersion"],
  ["apiVersion: v1\nkind: Service", "metadata: expected an object with a name"],
  ["apiVersion: v1\nkind: Service\nmetadata: {name: 7}", "metadata.name: expected a name, found 7"],
  [
    "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: a.b}",
    "metadata.namespace: expected the name of a namespace",
  ],
])("%j is told what is wrong with it", (text, message) => {
  expect(looksLikeManifest(text)).toBe(true)
  expect(formats(text).join()).toContain(message)
})

test.each([
  "",
  "a: 1\nb: 2\n",
  "pools: {}\nlisteners: []\n",
  '["10.0.0.0/8"]',
  "kind: animals\nnames: [cat]\n",
  '{"name": "x", "version": "1.0.0", "dependencies": {}}',
  "- apiVersions\n",
  '{"a": {"apiVersion": 1}, "b": "\\"apiVersion\\": 1", "c": "apiVersion"}',
  "text: |\n  apiVersion: v1\n",
  "services:\n  db:\n    image: postgres\n",
])("%j is data of somebody else's", (text) => {
  expect(looksLikeManifest(text)).toBe(false)
})

test("a list without items, as Go writes it, is nothing", () => {
  expect(formats("apiVersion: v1\nkind: List\nitems: null")).toEqual([])
})

test("only the beginning is looked at", () => {
  expect(looksLikeManifest(`${"# \n".repeat(50_000)}apiVersion: v1\n`)).toBe(false)
})
