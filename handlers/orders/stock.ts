// Second step: the goods. Only an order that has its credit claims any.
import { on, projection, Type } from "eddyline";
import { openingStock } from "./catalogue.ts";
import { CreditReserved, StockRefused, StockReserved } from "./events.ts";
import { claim, Quota, quotaOf, refusalTold, verdict } from "./quota.ts";

export const stock = projection("stock", {
  from: [CreditReserved, StockRefused],
  key: (e) => e.data.sku,
  state: Type.Object({ sku: Type.String(), pieces: Quota }),
  apply: (known, { type, data }) => {
    const { sku, orderId, quantity } = data;
    const pieces = known?.pieces ?? quotaOf(openingStock.get(sku) ?? 0);
    if (type === StockRefused.type) return { sku, pieces: refusalTold(pieces, orderId) };
    return { sku, pieces: claim(pieces, orderId, quantity) };
  },
});

export const reserveStock = on(
  CreditReserved,
  { emits: [StockReserved, StockRefused] },
  async ({ data: order }, ctx) => {
    const pieces = async () => (await ctx.get(stock, order.sku))?.pieces;
    if (await verdict(order.orderId, pieces)) ctx.emit(StockReserved, order);
    else ctx.emit(StockRefused, { ...order, reason: `no ${order.quantity} × ${order.sku} left` });
  },
);
