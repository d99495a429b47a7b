// What the driver and the workers share.
import Redis from "ioredis";

export const QUEUE = "bench";
export const SPANS = "bench:spans";

export const connect = () => new Redis(process.env.BENCH_REDIS, { maxRetriesPerRequest: null });

// Seconds on the machine's monotonic clock, which all processes share.
export const now = () => Number(process.hrtime.bigint()) / 1e9;

export function layers(widths) {
  let first = 0;
  return widths.map((width) => {
    const numbers = Array.from({ length: width }, (_, index) => first + index);
    first += width;
    return numbers;
  });
}

export const isTree = (widths) => widths.slice(1).every((width) => width === 1);

// BullMQ's flows are trees whose children run first: layers that only narrow down to one node each.
export function tree(run, mark, widths, from) {
  const below = layers(widths);
  let nodes = [];
  for (let depth = from; depth < widths.length; depth += 1) {
    nodes = below[depth].map((number) => ({
      name: "node",
      queueName: QUEUE,
      data: { run, number, depth, widths, mark, flow: true },
      ...(nodes.length ? { children: nodes } : {}),
    }));
  }
  return nodes;
}
