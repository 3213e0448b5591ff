import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { imperativeIn } from "./imperative.ts";

test("a type that ends in an imperative is a command, however it is written", () => {
  const commands: [type: string, words: string][] = [
    ["com.acme.order.create", "create"],
    ["com.acme.order.create.v2", "create"],
    ["com.acme.order.create.v1.0", "create"],
    ["com.acme.create-order-v2", "create-order-v2"],
    ["com.acme.place-order", "place-order"],
    ["com.acme.PlaceOrder", "PlaceOrder"],
    ["com.acme.placeOrder.1", "placeOrder"],
    ["com.acme.reserve_stock", "reserve_stock"],
    ["com.acme.send.email", "send.email"],
    ["com.acme.Send.email.v3", "Send.email"],
    ["send.email", "send.email"],
    ["do-x", "do-x"],
    ["create", "create"],
  ];
  assert.deepEqual(
    commands.map(([type]) => [type, imperativeIn(type)]),
    commands,
  );
});

test("what has happened, what is a noun and what might be either is no command", () => {
  const fine = [
    ...["com.acme.order.placed", "com.acme.order.sent", "com.acme.order.created.v2", "OrderPlaced"],
    // Nouns, adjectives and past tenses that look like a base form.
    ...["com.acme.stock.update", "com.acme.order.complete", "com.acme.limit.set", "com.acme.place"],
    ...["com.github.push", "com.github.pull_request.synchronize", "com.acme.stock.reserve"],
    ...["com.acme.update-available", "com.acme.door.open", "com.acme.shop.add-on"],
    // What became of a command is a fact.
    ...["com.acme.send-failed", "com.acme.send.failed", "com.acme.email.send-failure"],
    ...["com.acme.create.done", "com.acme.create-order-requested", "com.acme.do-not-disturb"],
    // A verb elsewhere: a name, or the beginning of a longer word.
    ...["com.send.parcel", "com.acme.send.parcel.arrived", "com.acme.sender", "com.acme.creation"],
    ...["com.acme.doors", "v1", "1.2", "", "---"],
  ];
  assert.deepEqual(
    fine.filter((type) => imperativeIn(type) !== undefined),
    [],
  );
});

test("a past participle is never a command, whatever stands before it, and no type is too strange", () => {
  const verb = fc.constantFrom("create", "send", "do", "place", "reserve", "x");
  const participle = fc.constantFrom("created", "sent", "done", "failed", "paid");
  const glue = fc.constantFrom(".", "-", "_");
  fc.assert(
    fc.property(verb, glue, participle, fc.constantFrom("", ".v1", "-v2", ".1.0"), (...parts) =>
      assert.equal(imperativeIn(`com.acme.${parts.join("")}`), undefined),
    ),
  );
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (type) => {
      const words = imperativeIn(type);
      assert.ok(words === undefined || type.includes(words));
    }),
  );
});
