// A bar chart as SVG: one group per scenario, one bar per system, the shorter the better.
import { middle, number, type Result } from "./report.ts"

/** Which scenarios are drawn, by which metric, under which words. */
const GROUPS: readonly { scenario: string; metric: string; title: string; digits: number }[] = [
  { scenario: "connections", metric: "cpu_us", title: "New connection, CPU µs", digits: 1 },
  { scenario: "promise", metric: "cpu_us", title: "The same with a policy that waits, CPU µs", digits: 1 },
  { scenario: "requests", metric: "cpu_us", title: "Request on a kept connection, CPU µs", digits: 1 },
  { scenario: "bulk-down-8", metric: "cpu_s", title: "Bulk, 8 streams down, CPU s per GB", digits: 2 },
  { scenario: "sni", metric: "cpu_us", title: "New connection by SNI, CPU µs", digits: 1 },
  { scenario: "handshakes-full", metric: "cpu_us", title: "Full TLS handshake (ECDSA), CPU µs", digits: 1 },
  { scenario: "handshakes-resumed", metric: "cpu_us", title: "Resumed TLS handshake, CPU µs", digits: 1 },
  {
    scenario: "terminated-bulk-down-8",
    metric: "cpu_s",
    title: "Bulk inside of TLS, 8 streams down, CPU s per GB",
    digits: 2,
  },
  { scenario: "deny", metric: "cpu_us", title: "Denied connection, CPU µs", digits: 1 },
  { scenario: "idle", metric: "rss_kb", title: "Idle connection, kB", digits: 1 },
]

const WIDTH = 760
const LABEL = 130
const VALUE = 60
const BAR = 16
const STEP = 20
const TITLE = 30
const COLORS = { subject: "#0b7285", floor: "#adb5bd", peer: "#74c0fc" }

export function chart(results: readonly Result[]): string {
  const parts: string[] = []
  let y = 10
  for (const { scenario, metric, title, digits } of GROUPS) {
    const result = results.find(({ name }) => name === scenario)
    if (result === undefined) continue
    const systems = [...new Set(result.samples.map(({ system }) => system))]
    const bars = systems
      .map((system) => ({ system, value: middle(result, system, metric) }))
      .filter((bar): bar is { system: string; value: number } => bar.value !== undefined && Number.isFinite(bar.value))
    const longest = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE)
    y += TITLE
    parts.push(`<text x="0" y="${y - 10}" font-weight="600">${escape(title)}</text>`)
    for (const { system, value } of bars) {
      const width = Math.max(1, (Math.max(0, value) / longest) * (WIDTH - LABEL - VALUE))
      const color = system === result.subject ? COLORS.subject : system === "floor" ? COLORS.floor : COLORS.peer
      parts.push(
        `<text x="${LABEL - 8}" y="${y + 12}" text-anchor="end">${escape(system)}</text>`,
        `<rect x="${LABEL}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" fill="${color}" rx="2"/>`,
        `<text x="${(LABEL + width + 6).toFixed(1)}" y="${y + 12}">${number(value, digits)}</text>`,
      )
      y += STEP
    }
  }
  const height = y + 10
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="CPU time and memory per unit, shorter is better">
<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>
<g fill="#212529">
${parts.join("\n")}
</g>
</svg>
`
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
}
