// Customers, and what of their credit is taken.
import { projection, Type } from "eddyline";
import { defaultCreditCents } from "./catalogue.ts";
import { CreditRefused, CreditReleased, CustomerRegistered, OrderPlaced } from "./events.ts";
import { claim, Quota, quotaOf, refusalTold, release } from "./quota.ts";

export const customers = projection("customers", {
  from: [CustomerRegistered, OrderPlaced, CreditRefused, CreditReleased],
  key: (e) => e.data.customerId,
  state: Type.Object({
    customerId: Type.String(),
    name: Type.Optional(Type.String()),
    credit: Quota,
  }),
  apply: (known, { type, data }) => {
    const customer = known ?? { customerId: data.customerId, credit: quotaOf(defaultCreditCents) };
    switch (type) {
      case CustomerRegistered.type: // a lower limit takes back no credit that is taken already
        return {
          ...customer,
          name: data.name,
          credit: { ...customer.credit, limit: data.creditLimitCents },
        };
      case OrderPlaced.type:
        return { ...customer, credit: claim(customer.credit, data.orderId, data.totalCents) };
      case CreditRefused.type:
        return { ...customer, credit: refusalTold(customer.credit, data.orderId) };
      case CreditReleased.type:
        return { ...customer, credit: release(customer.credit, data.orderId) };
    }
  },
});
