// The events of the order saga. What happens to an order is a fact and carries the whole order, so that no handler has to
// look one up. What is known of a customer is state: the last event replaces those before.
import { event, Type } from "eddyline";

const order = {
  orderId: Type.String({ minLength: 1 }),
  customerId: Type.String({ minLength: 1 }),
  sku: Type.String({ minLength: 1 }),
  quantity: Type.Integer({ minimum: 1 }),
  totalCents: Type.Integer({ minimum: 0 }),
};
const Order = Type.Object(order);
const Refusal = Type.Object({ ...order, reason: Type.String() });

export const OrderPlaced = event("com.acme.order.placed", Order);
export const CreditReserved = event("com.acme.credit.reserved", Order);
export const CreditRefused = event("com.acme.credit.refused", Refusal);
export const CreditReleased = event("com.acme.credit.released", Order);
export const StockReserved = event("com.acme.stock.reserved", Order);
export const StockRefused = event("com.acme.stock.refused", Refusal);
export const OrderApproved = event("com.acme.order.approved", Order);
export const OrderRejected = event("com.acme.order.rejected", Refusal);

export const CustomerRegistered = event(
  "com.acme.customer.registered",
  Type.Object({
    customerId: Type.String({ minLength: 1 }),
    name: Type.String(),
    creditLimitCents: Type.Integer({ minimum: 0 }),
  }),
  { carries: "state", key: "customerId", deletion: "never" },
);
