import assert from "node:assert/strict";
import { test } from "node:test";
import { harness } from "eddyline/testing";
import * as credit from "./credit.ts";
import * as customers from "./customers.ts";
import * as events from "./events.ts";
import * as orders from "./orders.ts";
import * as stock from "./stock.ts";

const { CustomerRegistered, OrderPlaced, OrderApproved, OrderRejected } = events;

const saga = () => harness(credit, customers, orders, stock);

const order = (
  orderId: string,
  more: { totalCents?: number; quantity?: number; sku?: string } = {},
) => ({
  orderId,
  customerId: "c-1",
  sku: "canoe",
  quantity: 1,
  totalCents: 129_900,
  ...more,
});

test("one order on a fresh store: credit, then stock, then approved", async () => {
  const t = saga();
  await t.publish(OrderPlaced, order("o-1"));
  assert.deepEqual(t.entry(orders.orders, "o-1"), { ...order("o-1"), status: "approved" });
  assert.deepEqual(t.entry(customers.customers, "c-1")?.credit.claims, [
    { orderId: "o-1", amount: 129_900 },
  ]);
  assert.deepEqual(
    [events.CreditReserved, events.StockReserved, OrderApproved].map((e) => t.emitted(e).length),
    [1, 1, 1],
  );
  assert.ok(t.outcomes.every((outcome) => outcome.kind === "handled"));
});

test("an order above the customer's limit is refused credit and rejected; no stock is asked for", async () => {
  const t = saga();
  await t.publish(CustomerRegistered, {
    customerId: "c-1",
    name: "Ada",
    creditLimitCents: 100_000,
  });
  await t.publish(OrderPlaced, order("o-1"));
  assert.equal(t.entry(orders.orders, "o-1")?.status, "rejected");
  assert.equal(t.emitted(OrderRejected)[0]?.data.reason, "no credit for 129900 cents");
  assert.equal(t.entry(stock.stock, "canoe"), undefined);
  assert.deepEqual(t.entry(customers.customers, "c-1")?.credit.refused, []);
});

test("an order that is out of stock is rejected, and its credit is free for the next one", async () => {
  const t = saga();
  await t.publish(OrderPlaced, order("o-1", { quantity: 4, totalCents: 500_000 }));
  assert.equal(t.emitted(OrderRejected)[0]?.data.reason, "no 4 × canoe left");
  assert.equal(t.emitted(events.CreditReleased).length, 1);
  await t.publish(OrderPlaced, order("o-2", { totalCents: 500_000 }));
  assert.equal(t.entry(orders.orders, "o-2")?.status, "approved");
});

test("the last canoe goes to one order only", async () => {
  const t = saga();
  for (const n of [1, 2, 3, 4]) await t.publish(OrderPlaced, order(`o-${n}`, { totalCents: 1 }));
  const statuses = [1, 2, 3, 4].map((n) => t.entry(orders.orders, `o-${n}`)?.status);
  assert.deepEqual(statuses, ["approved", "approved", "approved", "rejected"]);
});

test("an event that is delivered twice changes nothing; an order that is placed twice claims once", async () => {
  const t = saga();
  await t.publish(OrderPlaced, order("o-1"), { id: "e-1" });
  await t.publish(OrderPlaced, order("o-1"), { id: "e-1" });
  assert.equal(t.emitted(OrderApproved).length, 1);
  await t.publish(OrderPlaced, order("o-1"), { id: "e-2" });
  assert.equal(t.emitted(OrderApproved).length, 2);
  assert.equal(t.entry(customers.customers, "c-1")?.credit.claims.length, 1);
  assert.equal(t.entry(stock.stock, "canoe")?.pieces.claims.length, 1);
});

test("a reaction that is ahead of the fold fails, is retried, and ends where it would have anyway", async () => {
  const t = harness(credit); // nobody folds customers: as if the projection were far behind
  await t.publish(OrderPlaced, order("o-1"));
  const [outcome] = t.outcomes;
  assert.equal(outcome?.kind, "retry");
  assert.match(String(outcome.cause), /the claim of order o-1 is not decided yet/);
});
