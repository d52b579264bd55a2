// The published schema: current, taken by a validator, and of one mind with what the gateway says.
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import Ajv from "ajv"
import { compileConfig } from "../../../src/config/config-source.ts"
import { ModuleGraph } from "../../../src/config/module-graph.ts"
import { decode } from "../../../src/config/schema/faults.ts"
import { file } from "../../../src/config/schema/file.ts"
import { jsonSchema } from "../../../src/config/schema/json-schema.ts"
import { withReference } from "../../../src/config/schema/reference.ts"
import { readYaml } from "../../../src/config/yaml.ts"
import { folder, ROOT } from "../../helper/cli.ts"

const published = readFileSync(join(ROOT, "schema/tidegate.schema.json"), "utf8")
const page = readFileSync(join(ROOT, "docs/configuration.md"), "utf8")
const validate = new Ajv({ strict: true, allowUnionTypes: true, allErrors: true }).compile(JSON.parse(published))

function values(text: string): unknown {
  const { documents, problems } = readYaml("/t.yaml", text)
  expect(problems).toEqual([])
  return documents[0]!.value
}

/** What the validator of editors says, and what the gateway does. */
function judged(text: string): { editor: boolean; gateway: boolean } {
  return { editor: validate(values(text)), gateway: "value" in decode(file, values(text)) }
}

test("the published files are current: bun run schema writes them", () => {
  expect(published).toBe(jsonSchema())
  expect(page).toBe(withReference(page))
})

test("it is draft 7, and every object is closed", () => {
  const schema: unknown = JSON.parse(published)
  expect(schema).toMatchObject({ $schema: "http://json-schema.org/draft-07/schema#", title: "tidegate.yaml" })
  const open: unknown[] = []
  const look = (at: unknown): void => {
    if (typeof at !== "object" || at === null) return
    if (Reflect.get(at, "type") === "object" && Reflect.get(at, "additionalProperties") !== false) open.push(at)
    for (const inner of Object.values(at)) look(inner)
  }
  look(schema)
  expect(open).toEqual([])
})

test("every option has a description, for editors to show", () => {
  const { definitions, properties }: { definitions: object; properties: object } = JSON.parse(published)
  for (const [name, options] of [
    ["", properties],
    ...Object.entries(definitions).map(([at, one]) => [at, one.properties]),
  ]) {
    for (const [option, schema] of Object.entries(options))
      expect({ name, option, described: typeof Reflect.get(Object(schema), "description") }).toEqual({
        name,
        option,
        described: "string",
      })
  }
})

describe("what both take", () => {
  test.each([
    ["nothing", "{}"],
    ["a pool", "pools: { db: { targets: [tcp://a:1, { url: unix:/a, weight: 0 }, 'srv://_a._tcp.b'] } }"],
    [
      "durations and rates",
      "pools: { db: { targets: [tcp://a:1], slowStart: 1.5 minutes, idleTimeout: 5000, bandwidth: { up: 1 KiB, down: 7 } } }",
    ],
    [
      "every way to check",
      "pools: { a: { targets: [tcp://a:1], health: http }, b: { targets: [tcp://a:1], health: { check: { http: { status: [204] } } } }, c: { targets: [tcp://a:1], health: { check: { expect: x } } }, d: { targets: [tcp://a:1], health: { check: { redis: { role: master } } } } }",
    ],
    [
      "passive health and its absence",
      "pools: { a: { targets: [tcp://a:1], passive: false }, b: { targets: [tcp://a:1], passive: { failures: 5 } } }",
    ],
    [
      "keys",
      "pools: { a: { targets: [tcp://a:1], rateLimit: { limit: 1, per: 1s, key: { ipv4: 24 } }, concurrencyLimit: { max: 1, key: sni } } }",
    ],
    [
      "every kind of route",
      "listeners: [{ url: 'tcp://:1', route: db }, { url: 'tcp://:2', route: 'tcp://a:1' }, { url: 'tcp://:3', route: [tcp://a:1, { url: tcp://b:1, weight: 2 }] }, { url: 'tcp://:4', route: { to: db, retries: 0 } }, { url: unix:/x }]",
    ],
    ["one database or several", "geoip: a.mmdb"],
    ["a name of the schema", "$schema: x\ngeoip: [a, b]"],
  ])("%s", (_, text) => {
    expect(judged(text)).toEqual({ editor: true, gateway: true })
  })
})

describe("what neither takes", () => {
  test.each([
    ["an unknown option", "pool: {}"],
    ["an unknown option of a pool", "pools: { db: { targets: [tcp://a:1], balanc: hash } }"],
    ["a pool without targets", "pools: { db: {} }"],
    ["no targets", "pools: { db: { targets: [] } }"],
    ["a target that is no URL", "pools: { db: { targets: [a] } }"],
    ["a name that could be a target", "pools: { 'Db:1': { targets: [tcp://a:1] } }"],
    ["a word that is none of them", "pools: { db: { targets: [tcp://a:1], balance: hsah } }"],
    ["a weight below 0", "pools: { db: { targets: [{ url: tcp://a:1, weight: -1 }] } }"],
    ["a priority that is not whole", "pools: { db: { targets: [{ url: tcp://a:1, priority: 1.5 }] } }"],
    ["a duration that is none", "pools: { db: { targets: [tcp://a:1], slowStart: soon } }"],
    ["a number for an interval that is too short", "pools: { db: { targets: [tcp://a:1], health: { interval: 10 } } }"],
    ["two checks in one", "pools: { db: { targets: [tcp://a:1], health: { check: { http: {}, redis: {} } } } }"],
    ["a share above 1", "pools: { db: { targets: [tcp://a:1], panicThreshold: 1.1 } }"],
    ["version 3", "pools: { db: { targets: [tcp://a:1], proxyProtocol: 3 } }"],
    ["passive: true", "pools: { db: { targets: [tcp://a:1], passive: true } }"],
    ["no for false", "pools: { db: { targets: [tcp://a:1], closeOnUnhealthy: no } }"],
    ["a listener without a URL", "listeners: [{ route: db }]"],
    ["a listener that is a text", "listeners: ['tcp://:1']"],
    ["a route without to", "listeners: [{ url: 'tcp://:1', route: { retries: 1 } }]"],
    ["nobody to believe", "listeners: [{ url: 'tcp://:1', proxyProtocol: { from: [] } }]"],
    ["a path that is a number", "geoip: 5"],
  ])("%s", (_, text) => {
    expect(judged(text)).toEqual({ editor: false, gateway: false })
  })
})

test("the YAML of the page is good, for both", async () => {
  await using dir = await folder()
  const blocks = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map((match) => match[1]!)
  const whole = blocks.filter((block) => block.includes("pools:"))
  expect(whole.length).toBeGreaterThan(1)
  for (const [i, block] of whole.entries()) {
    expect(judged(block)).toEqual({ editor: true, gateway: true })
    await dir.write(`${i}.yaml`, block)
    const { module } = new ModuleGraph(dir.path, false).entry(join(dir.path, `${i}.yaml`), "text")
    expect(await compileConfig(module)).toHaveProperty("rules")
  }
})
