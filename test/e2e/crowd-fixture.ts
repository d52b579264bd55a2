// Clients in a process of their own, which may be in another network: `ADDRESS PORT COUNT TEXT` connects so many, lets
// each send the text, says so in a line, and does nothing more.
import { Crowd } from "../helper/crowd.ts"

const crowds: Crowd[] = []
for (const job of process.argv.slice(2)) {
  const [to = "", port, count, text = ""] = job.split(" ")
  const crowd = await Crowd.connect(Number(port), Number(count), { to, receive: 4096 })
  crowd.send(Buffer.from(text))
  crowds.push(crowd)
}
console.log("there")
for await (const _ of console) break
