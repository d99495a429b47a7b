// Speaks the harness's protocol: see ../scripts/protocol.py.
import { FlowProducer, Queue } from "bullmq";
import { createInterface } from "node:readline";
import { connect, isTree, now, QUEUE, SPANS, tree } from "./common.mjs";

const BATCH = 500;
const connection = connect();
const queue = new Queue(QUEUE, { connection });
const flows = new FlowProducer({ connection });
let expected = 0;

async function submit({ widths, runs }) {
  const began = now();
  await connection.del(SPANS);
  expected = runs * widths.reduce((sum, width) => sum + width, 0);
  const mark = Math.random().toString(36).slice(2, 10);
  const isFlow = widths.length > 1 && isTree(widths);
  for (let first = 0; first < runs; first += BATCH) {
    const some = Array.from({ length: Math.min(BATCH, runs - first) }, (_, index) => first + index);
    if (isFlow) await flows.addBulk(some.flatMap((run) => tree(run, mark, widths, 0)));
    else await queue.addBulk(some.flatMap((run) => roots(run, mark, widths)));
  }
  return { began };
}

function roots(run, mark, widths) {
  return Array.from({ length: widths[0] }, (_, number) => ({
    name: "node",
    data: { run, number, depth: 0, widths, mark },
  }));
}

async function wait({ seconds }) {
  const deadline = now() + seconds;
  while ((await connection.llen(SPANS)) < expected) {
    if (now() > deadline) return { error: `not ended within ${seconds} s` };
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return { spans: (await connection.lrange(SPANS, 0, -1)).map((text) => JSON.parse(text)) };
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const answer = request.op === "submit" ? await submit(request) : await wait(request);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
