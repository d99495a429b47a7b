// One BullMQ worker process. Executions are collected and written to Redis every 20 ms: nodes do not wait for it.
import { FlowProducer, Queue, Worker } from "bullmq";
import { connect, isTree, layers, now, QUEUE, SPANS, tree } from "./common.mjs";

const connection = connect();
const queue = new Queue(QUEUE, { connection });
const flows = new FlowProducer({ connection });

let spans = [];
setInterval(() => {
  if (spans.length) connection.rpush(SPANS, ...spans.splice(0));
}, 20);

// What follows a node that is not part of a flow.
async function goOn({ run, depth, widths, mark }) {
  if (depth + 1 === widths.length) return;
  if (widths[depth] > 1 && (await connection.incr(`bench:${mark}:${run}:${depth}`)) < widths[depth]) return;
  if (isTree(widths.slice(depth + 1))) {
    await flows.addBulk(tree(run, mark, widths, depth + 1));
    return;
  }
  const data = (number) => ({ run, number, depth: depth + 1, widths, mark });
  await queue.addBulk(layers(widths)[depth + 1].map((number) => ({ name: "node", data: data(number) })));
}

new Worker(
  QUEUE,
  async (job) => {
    const start = now();
    const { run, number, flow } = job.data;
    spans.push(JSON.stringify([run, number, start, now()]));
    if (!flow) await goOn(job.data);
  },
  { connection: connect(), concurrency: Number(process.env.BENCH_CONCURRENCY) },
);
