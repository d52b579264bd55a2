import { expect, test } from "bun:test"
import { compileKubernetes } from "../../../src/config/kubernetes/compile.ts"
import { withListeners } from "../../../src/config/manifests/status.ts"
import { objectsOf, STILL } from "../../helper/cluster-of-objects.ts"
import { Cluster, gateway } from "./compiled.ts"

const edge = gateway("edge", ["{ name: a, port: 1000, protocol: TCP }", "{ name: b, port: 1001, protocol: TCP }"])
const secret =
  'apiVersion: v1\nkind: Secret\nmetadata: { name: hush, annotations: { kubectl.kubernetes.io/last-applied-configuration: \'{"data":"hush-hush"}\' } }\ndata: { password: aHVzaC1odXNo }\n---\n'

test("a listener that is bound denies what no route takes, after everybody else", () => {
  const cluster = new Cluster(edge)
  const [rule] = cluster.rules()
  expect(rule).toMatchObject({ title: "Gateway default/edge, listener a", last: "fallback" })
  expect(rule!.connect(undefined as never, undefined)).toEqual({
    action: "deny",
    reason: "no route of the listener a of Gateway default/edge takes connections",
  })
  expect(rule!.place("listen")).toMatchObject({ path: "/policies/objects.yaml", line: 7 })
})

test("the key of a file changes with what it gives, and with nothing else", () => {
  const other = gateway("other", ["{ name: a, port: 2000, protocol: TCP }"])
  const key = (text: string) => new Cluster({ "edge.yaml": text, "other.yaml": other }).keys.get("edge.yaml")
  expect(key(edge)).toBe(key(edge))
  expect(key(`${edge}# a comment behind it\n`)).toBe(key(edge))
  expect(key(edge.replace("1000", "1002"))).not.toBe(key(edge))
  expect(key(`# a comment before it\n${edge}`)).not.toBe(key(edge))
})

test("objects are shown as they were written, and Secrets are not", () => {
  const { objects } = compileKubernetes(objectsOf(edge + secret), STILL)
  const shown = withListeners(objects, () => "served")
  expect(JSON.stringify(objects)).not.toMatch(/aHVzaC1odXNo|hush-hush/)
  expect(shown.map(({ kind }) => kind)).not.toContain("Secret")
  const [found] = shown
  expect(found).toMatchObject({
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: { name: "edge", namespace: "default", generation: 1 },
    spec: { gatewayClassName: "tidegate" },
  })
  expect(Object.keys(found!)).toEqual(["apiVersion", "kind", "metadata", "spec", "status"])
})

test("a status that was written is not shown as ours", () => {
  const { objects } = compileKubernetes(objectsOf(edge.replace("spec:", "status: { mine: true }\nspec:")), STILL)
  expect(JSON.stringify(withListeners(objects, () => "served"))).not.toContain("mine")
})

test("a listener that is down is not programmed, and a Gateway without others neither", () => {
  const { objects } = compileKubernetes(objectsOf(edge), STILL)
  const programmed = (down: readonly string[]) => {
    const [found] = withListeners(objects, (identity) => (down.includes(identity) ? "down" : "served"))
    const { conditions, listeners } = found!.status as never as Record<"conditions" | "listeners", readonly never[]>
    return [{ conditions }, ...listeners].map(
      (one) =>
        (one as { conditions: readonly { type: string; status: string }[] }).conditions.find(
          ({ type }) => type === "Programmed",
        )!.status,
    )
  }
  expect(programmed([])).toEqual(["True", "True", "True"])
  expect(programmed(["tcp:*:1000"])).toEqual(["True", "False", "True"])
  expect(programmed(["tcp:*:1000", "tcp:*:1001"])).toEqual(["False", "False", "False"])
})
