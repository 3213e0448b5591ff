// First step: an order needs credit. Compensation: where a later step fails, the credit is released.
import { on } from "eddyline";
import { customers } from "./customers.ts";
import {
  CreditRefused,
  CreditReleased,
  CreditReserved,
  OrderPlaced,
  StockRefused,
} from "./events.ts";
import { verdict } from "./quota.ts";

export const reserveCredit = on(
  OrderPlaced,
  { emits: [CreditReserved, CreditRefused] },
  async ({ data: order }, ctx) => {
    const credit = async () => (await ctx.get(customers, order.customerId))?.credit;
    if (await verdict(order.orderId, credit)) ctx.emit(CreditReserved, order);
    else ctx.emit(CreditRefused, { ...order, reason: `no credit for ${order.totalCents} cents` });
  },
);

export const releaseCredit = on(StockRefused, { emits: [CreditReleased] }, ({ data }, ctx) => {
  const { reason, ...order } = data;
  ctx.log.info(`credit of order ${order.orderId} is released`, { reason });
  ctx.emit(CreditReleased, order);
});
