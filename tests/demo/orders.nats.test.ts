import assert from "node:assert/strict";
import { resolve } from "node:path";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { startNats } from "../support/nats.ts";
import { startNode } from "../support/node.ts";

const handlers = resolve(import.meta.dirname, "../../handlers");

const order = (n: number) => ({
  specversion: "1.0",
  id: `e-${n}`,
  source: "/test",
  type: "com.acme.order.placed",
  data: { orderId: `o-${n}`, customerId: `c-${n}`, sku: "canoe", quantity: 1, totalCents: 129_900 },
});

test("the order saga on a real server: of thirty orders at once, three get the three canoes", async () => {
  await using nats = await startNats();
  await using node = await startNode({ nats, handlers });
  const read = async (path: string) =>
    JSON.parse(await (await fetch(`${node.url}/projections/${path}`)).text());
  const orders = Array.from({ length: 30 }, (_, n) => order(n));
  const stored = await fetch(`${node.url}/events`, {
    method: "POST",
    headers: { "content-type": "application/cloudevents-batch+json" },
    body: JSON.stringify(orders),
  });
  assert.equal(stored.status, 202);
  const statusOf = async (orderId: string): Promise<string> =>
    (await read(`orders/${orderId}`)).status;
  const { statuses } = await eventually(
    async () => {
      const statuses = await Promise.all(orders.map(({ data }) => statusOf(data.orderId)));
      const decided = statuses.every((status) => status === "approved" || status === "rejected");
      return decided ? { statuses } : undefined;
    },
    { timeoutMs: 30_000, what: "that every order is decided" },
  );
  assert.equal(statuses.filter((status) => status === "approved").length, 3);
  const { pieces } = await read("stock/canoe");
  assert.equal(pieces.claims.length, 3);
});
