import { describe, expect, test } from "bun:test"
import { selects } from "../../../src/config/kubernetes/allowed.ts"
import { conditions, inOrderOfAge, isTrue } from "../../../src/config/kubernetes/conditions.ts"
import { Objects, titleOf } from "../../../src/config/kubernetes/objects.ts"
import { clusterOf, objectsOf, SINCE, STILL } from "../../helper/cluster-of-objects.ts"

const service = (name: string, more = "") =>
  `apiVersion: v1\nkind: Service\nmetadata: { name: ${name}${more} }\nspec: {}\n---\n`

test("objects are found by kind, namespace and name", () => {
  const objects = clusterOf(service("db") + service("db", ", namespace: other") + service("web"))
  expect(objects.find("Service", "other", "db")?.metadata.namespace).toBe("other")
  expect(objects.find("Service", "default", "db")?.metadata.namespace).toBe("default")
  expect(objects.find("Secret", "default", "db")).toBeUndefined()
  expect(objects.all("Service").map(({ metadata }) => metadata.name)).toEqual(["db", "db", "web"])
  expect(objects.namespaceWith("Service", "web")).toBe("default")
})

test("of two objects with one name the first one counts", () => {
  const [first, second] = [objectsOf(service("db")), objectsOf(service("db"))]
  const objects = new Objects([...first, ...second])
  expect(objects.find("Service", "default", "db")).toBe(first[0] as never)
  expect(objects.duplicates).toEqual(second)
})

test("a namespace has its name as a label, with and without an object", () => {
  const objects = clusterOf("apiVersion: v1\nkind: Namespace\nmetadata: { name: apps, labels: { team: blue } }")
  expect(objects.namespaceLabels("apps")).toEqual({ team: "blue", "kubernetes.io/metadata.name": "apps" })
  expect(objects.namespaceLabels("other")).toEqual({ "kubernetes.io/metadata.name": "other" })
})

describe("selectors", () => {
  const labels = { team: "blue", tier: "" }
  test.each([
    [{}, true],
    [{ matchLabels: { team: "blue" } }, true],
    [{ matchLabels: { team: "red" } }, false],
    [{ matchLabels: { team: "blue", zone: "a" } }, false],
    [{ matchLabels: { constructor: "x" } }, false],
    [{ matchExpressions: [{ key: "team", operator: "In", values: ["red", "blue"] }] }, true],
    [{ matchExpressions: [{ key: "zone", operator: "In", values: ["a"] }] }, false],
    [{ matchExpressions: [{ key: "team", operator: "NotIn", values: ["blue"] }] }, false],
    [{ matchExpressions: [{ key: "zone", operator: "NotIn", values: ["a"] }] }, true],
    [{ matchExpressions: [{ key: "tier", operator: "Exists" }] }, true],
    [{ matchExpressions: [{ key: "tier", operator: "DoesNotExist" }] }, false],
    [{ matchExpressions: [{ key: "zone", operator: "DoesNotExist" }] }, true],
    [{ matchLabels: { team: "blue" }, matchExpressions: [{ key: "zone", operator: "Exists" }] }, false],
  ] as const)("%j selects: %p", (selector, expected) => {
    expect(selects(selector, labels)).toBe(expected)
  })
})

test("the oldest comes first, then the first by namespace and name", () => {
  const text =
    service("b") +
    service("a") +
    service("a", ", namespace: apps") +
    service("z", ", creationTimestamp: 2025-01-01T00:00:00Z")
  expect(inOrderOfAge(STILL, objectsOf(text)).map(titleOf)).toEqual([
    "Service default/z",
    "Service apps/a",
    "Service default/a",
    "Service default/b",
  ])
})

test("a condition has the generation of its object, and since when it is so", () => {
  const [object] = objectsOf(service("db"))
  const asked: string[] = []
  const surroundings = {
    ...STILL,
    since: (owner: string, type: string) => {
      asked.push(`${owner}: ${type}`)
      return SINCE
    },
  }
  const said = [isTrue("Accepted", "Accepted", "x".repeat(40_000))]
  const [condition] = conditions(surroundings, object!, "listener db", said)
  expect(condition).toMatchObject({
    type: "Accepted",
    status: "True",
    observedGeneration: 1,
    lastTransitionTime: SINCE,
  })
  expect(condition!.message).toHaveLength(32_768)
  expect(asked).toEqual(["Service default/db listener db: Accepted"])
})
