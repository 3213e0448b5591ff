// `eddy tail`: events of the home stream as they are stored, with what caused them.
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import { type Broker, type JsMsg, readDelivery, readOrdered, streamInfo } from "../broker/index.ts";
import {
  type Decoded,
  decodeStored,
  describeThrown,
  toJsonEnvelope,
  token,
} from "../events/index.ts";
import { withBroker } from "./connection.ts";
import { notFound, usage } from "./exits.ts";
import {
  type JsonOption,
  type ServerOptions,
  withExamples,
  withJson,
  withServer,
} from "./options.ts";
import { print, printJsonLine } from "./output.ts";
import { aborted, untilStopped } from "./signals.ts";
import { Chains, eventLine } from "./tail-line.ts";

interface TailOptions extends ServerOptions, JsonOption {
  readonly type: string;
  readonly from: string;
}

export function tailCommand(): Command {
  const command = withJson(withServer(new Command("tail")))
    .option("--type <pattern>", "only these types; * is one part, > the rest", ">")
    .option("--from <where>", "first, now, or a sequence of the stream", "now");
  return withExamples(command, [
    ["eddy tail", "from now on, until Ctrl-C"],
    ["eddy tail --type 'com.acme.order.*' --from first", "all that are kept, then new ones"],
    ["eddy tail --json | jq .data", "a JSON object a line"],
  ]).action(tail);
}

async function tail(options: TailOptions): Promise<void> {
  const filter = filterOf(options.type);
  await withBroker(options, async (broker) => {
    let next = await startOf(broker, options.from);
    const show = options.json ? showJson : showLines();
    const onMessage = (message: JsMsg) => {
      next = message.seq + 1;
      show(message);
    };
    const stop = untilStopped();
    while (!stop.aborted) {
      const why = await readUntilBroken(broker, filter, next, onMessage, stop);
      if (why === undefined) return;
      process.stderr.write(`${broker.home} cannot be read (${why}): trying again\n`);
      await Promise.race([sleep(1_000), aborted(stop)]);
    }
  });
}

/** Why reading broke off, or undefined where it was told to stop. */
async function readUntilBroken(
  broker: Broker,
  filter: string,
  fromSeq: number,
  onMessage: (message: JsMsg) => void,
  stop: AbortSignal,
): Promise<string | undefined> {
  const broken = new Promise<string>((resolve) => {
    const read = { stream: broker.home, filter, fromSeq, onMessage, onBroken: resolve };
    readOrdered(broker, read)
      .then((close) => broken.then(close))
      .catch((error) => resolve(describeThrown(error).message));
  });
  return await Promise.race([broken, aborted(stop).then(() => undefined)]);
}

/** A pattern of types as a filter of subjects, whose last token is the event's key. */
export function filterOf(pattern: string): string {
  const parts = pattern.split(".");
  const rest = parts.indexOf(">");
  if (parts.includes("") || (rest >= 0 && rest < parts.length - 1)) {
    throw usage(`--type must be a type such as com.acme.order.*, or com.acme.>, got ${pattern}`);
  }
  const tokens = parts.map((part) => (part === "*" || part === ">" ? part : token(part)));
  return ["events", ...tokens, ...(rest < 0 ? ["*"] : [])].join(".");
}

async function startOf(broker: Broker, from: string): Promise<number> {
  const info = await streamInfo(broker.jsm, broker.home);
  if (info === undefined) {
    throw notFound(
      `there is no stream ${broker.home} on this server yet: start the runtime first (eddy dev)`,
    );
  }
  if (from === "first") return 1;
  if (from === "now") return info.state.last_seq + 1;
  const seq = Number(from);
  if (Number.isSafeInteger(seq) && seq > 0) return seq;
  throw usage(`--from must be first, now, or a sequence, got ${JSON.stringify(from)}`);
}

function decode(message: JsMsg): Decoded {
  const { raw, headerLength } = readDelivery(message);
  return decodeStored(raw, headerLength);
}

function showJson(message: JsMsg): void {
  const { stream, seq, time } = placeOf(message);
  const decoded = decode(message);
  const what = decoded.ok ? toJsonEnvelope(decoded.event) : { fault: decoded.fault };
  printJsonLine({ stream, seq, stored: time.toISOString(), ...what });
}

function showLines(): (message: JsMsg) => void {
  const chains = new Chains();
  return (message) => {
    const { seq, time } = placeOf(message);
    const decoded = decode(message);
    if (!decoded.ok) print(`${seq}  not an event: ${decoded.fault.message}`);
    else print(eventLine(seq, time, decoded.event, chains.depthOf(decoded.event)));
  };
}

function placeOf(message: JsMsg) {
  return { stream: message.info.stream, seq: message.seq, time: message.time };
}
