import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { event, type HandlerOptions, on, projection, type WhereOf } from "./index.ts";

const Placed = event(
  "com.acme.order.placed",
  Type.Object({
    status: Type.String(),
    totalCents: Type.Integer(),
    address: Type.Object({ city: Type.String() }),
    lines: Type.Array(Type.Object({ sku: Type.String() })),
    note: Type.Optional(Type.Any()),
  }),
);
const Left = event("com.acme.customer.left", Type.Object({ customer: Type.String() }));
const run = () => {};

test("a pattern is checked by its types: fields of the data, of one of several events, in arrays, of anything", () => {
  on(
    Placed,
    {
      where: {
        source: [{ prefix: "/shops/" }],
        tenant: ["a", { exists: false }],
        data: {
          status: [
            "paid",
            { "anything-but": ["open", "lost"] },
            { "anything-but": { suffix: "!" } },
          ],
          totalCents: [{ numeric: [">=", 100, "<", 500] }, { numeric: ["=", 7] }],
          address: { city: [{ "anything-but": "Bern" }] },
          lines: { sku: [{ suffix: "-1" }] },
          note: { whatever: { is: [null, true] } },
        },
      },
    },
    run,
  );
  on([Placed, Left], { where: { data: { customer: ["c-1"] } } }, run);
  // @ts-expect-error: no such field
  on(Placed, { where: { data: { state: ["paid"] } } }, run);
  // @ts-expect-error: no such field in the elements
  on(Placed, { where: { data: { lines: { name: ["x"] } } } }, run);
  const key = () => "k";
  // @ts-expect-error: no such field
  projection("p", { from: [Left], where: { data: { status: ["x"] } }, key, apply: () => ({}) });
});

test("options for events of any kind may select by attributes, and not by fields", () => {
  const shared: HandlerOptions = { retry: ["1s"], where: { source: [{ prefix: "/shops/" }] } };
  on(Placed, shared, run);
  on(Left, { ...shared, ordered: true }, run);
  const own: WhereOf<typeof Left> = { data: { customer: ["c-1"] } };
  on(Left, { where: own }, run);
  // @ts-expect-error: fields of no known event
  const wrong: HandlerOptions = { where: { data: { customer: ["c-1"] } } };
  on(Left, wrong, run);
});

const refused = (where: unknown): string => {
  try {
    on(Placed, { where: where as never }, run);
  } catch (error) {
    assert.ok(error instanceof Error && "code" in error && error.code === "EDDY_DECLARATION");
    return error.message.replace("on(com.acme.order.placed): ", "");
  }
  return "taken";
};

test("what is no pattern is refused with its path, and with what is known there", () => {
  const deep = (levels: number): unknown => (levels === 0 ? ["x"] : { a: deep(levels - 1) });
  const wide = (leaves: number) =>
    Object.fromEntries(Array.from({ length: leaves }, (_, n) => [`f${n}`, [n]]));
  const circle: Record<string, unknown> = {};
  circle.again = circle;
  const table: [unknown, RegExp][] = [
    ["paid", /^where must be a list of alternatives.*got "paid"$/],
    [null, /^where must be/],
    [{}, /^where is empty/],
    [{ data: {} }, /^where\.data is empty/],
    [{ data: { status: "paid" } }, /^where\.data\.status must be a list of alternatives/],
    [{ data: { status: [] } }, /^where\.data\.status must have 1 to 1000 values, it has 0$/],
    [{ subject: { a: ["x"] } }, /^where\.subject must be a list/],
    [{ "data.status": ["paid"] }, /^where\.data\.status is no attribute.*go below data$/],
    [
      { source: [{ like: "x" }] },
      /^where\.source\[0\] must have one operator of prefix, suffix, anything-but, numeric, exists, got \{"like":"x"\}$/,
    ],
    [{ source: [{ prefix: "a", suffix: "b" }] }, /^where\.source\[0\] must have one operator/],
    [{ source: [{}] }, /^where\.source\[0\] must have one operator/],
    [{ source: ["a", ["b"]] }, /^where\.source\[1\] must have one operator/],
    [{ source: [{ prefix: 7 }] }, /^where\.source\[0\]\.prefix must be a text of up to 1000/],
    [{ source: ["a".repeat(1_001)] }, /^where\.source\[0\] must be a text of up to 1000/],
    [{ source: [Number.NaN] }, /^where\.source\[0\] must be a text or a finite number/],
    [{ source: [undefined] }, /^where\.source\[0\] must be a text or a finite number/],
    [{ source: [() => true] }, /^where\.source\[0\] must be a text or a finite number/],
    [
      { source: [{ exists: "no" }] },
      /^where\.source\[0\]\.exists must be true or false, got "no"$/,
    ],
    [{ source: [{ "anything-but": [] }] }, /^where\.source\[0\]\.anything-but must have 1/],
    [{ source: [{ "anything-but": ["a", null] }] }, /anything-but\[1\] must be a text or a finite/],
    [
      { source: [{ "anything-but": { numeric: ["=", 1] } }] },
      /one operator of prefix, suffix, got/,
    ],
    [{ data: deep(16) }, /deeper than 16 levels$/],
    [{ data: circle }, /deeper than 16 levels$/],
    [{ data: wide(101) }, /^where looks at 101 fields; up to 100/],
    [{ source: Array.from({ length: 1_001 }, (_, n) => n) }, /it has 1001$/],
  ];
  for (const [where, expected] of table) assert.match(refused(where), expected);
  for (const numeric of [
    [],
    ["="],
    ["=", "1"],
    ["!", 1],
    ["<", 1, ">", 0],
    [">", 1, "<", 1],
    [">", 1, "<"],
    ["=", 1, "<", 2],
    "=1",
    [">", -Infinity],
  ]) {
    assert.match(
      refused({ data: { totalCents: [{ numeric }] } }),
      /totalCents\[0\]\.numeric must be/,
    );
  }
  for (const where of [undefined, { data: deep(14) }, { data: wide(100) }, { data: ["text"] }])
    assert.equal(refused(where), "taken");
});
