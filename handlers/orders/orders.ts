// Last step: the order is approved or rejected. The projection tells how far each one is.
import { on, projection, Type } from "eddyline";
import {
  CreditRefused,
  CreditReserved,
  OrderApproved,
  OrderPlaced,
  OrderRejected,
  StockRefused,
  StockReserved,
} from "./events.ts";

export const approveOrder = on(StockReserved, { emits: [OrderApproved] }, ({ data }, ctx) => {
  ctx.emit(OrderApproved, data);
});

export const rejectOrder = on(
  [CreditRefused, StockRefused],
  { emits: [OrderRejected] },
  ({ data }, ctx) => ctx.emit(OrderRejected, data),
);

const statuses = {
  [OrderPlaced.type]: "placed",
  [CreditReserved.type]: "credit reserved",
  [StockReserved.type]: "stock reserved",
  [OrderApproved.type]: "approved",
  [OrderRejected.type]: "rejected",
} as const;

// An event stands in the stream after the one that caused it, and the events of an entry are folded in that
// order: no step overtakes another.
export const orders = projection("orders", {
  from: [OrderPlaced, CreditReserved, StockReserved, OrderApproved, OrderRejected],
  key: (e) => e.data.orderId,
  state: Type.Object({
    orderId: Type.String(),
    customerId: Type.String(),
    sku: Type.String(),
    quantity: Type.Integer(),
    totalCents: Type.Integer(),
    status: Type.Enum(statuses),
    reason: Type.Optional(Type.String()),
  }),
  apply: (_, { type, data }) => ({ ...data, status: statuses[type] }),
});
