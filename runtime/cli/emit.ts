// `eddy emit`: stores one event, made from the command line.
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { Command } from "commander";
import { ulid } from "ulid";
import { createIngress } from "../broker/index.ts";
import { type CloudEvent, decodeData, type EddyError, makeEvent } from "../events/index.ts";
import { printable } from "../observe/index.ts";
import { withBroker } from "./connection.ts";
import { usage } from "./exits.ts";
import {
  type JsonOption,
  type ServerOptions,
  withExamples,
  withJson,
  withServer,
} from "./options.ts";
import { print, printJson } from "./output.ts";

interface Attributes {
  readonly id?: string;
  readonly source?: string;
  readonly subject?: string;
  readonly key?: string;
  readonly time?: string;
  readonly contentType: string;
  readonly ext?: Readonly<Record<string, string>>;
}

export function emitCommand(): Command {
  const command = withJson(withServer(new Command("emit")))
    .argument("<type>", "CloudEvents type, such as com.acme.order.placed")
    .argument("[data]", "the data; - reads standard input, @file a file")
    .option("--id <id>", "default: a new one")
    .option("--source <uri>", "default: /<app>/cli")
    .option("--subject <subject>", "CloudEvents subject")
    .option("--key <key>", "ordering key (default: subject, else id)")
    .option("--time <time>", "RFC 3339 (default: now)")
    .option("--content-type <type>", "of the data", "application/json")
    .option("--ext <name=value>", "an extension attribute; may be repeated", extension);
  return withExamples(command, [
    [`eddy emit com.example.visitor.arrived '{"name":"Ada"}'`, "JSON on the command line"],
    ["eddy emit com.acme.photo.taken @cat.png --content-type image/png", "bytes of a file"],
    ["jq .order x.json | eddy emit com.acme.order.placed - --key o-1", "from a pipe"],
  ]).action(emit);
}

async function emit(
  type: string,
  data: string | undefined,
  options: ServerOptions & JsonOption & Attributes,
): Promise<void> {
  const bytes = await bytesOf(data);
  const stored = await withBroker(options, async (broker, { app }) => {
    const event = eventOf(type, bytes, app, options);
    const store = createIngress(broker.nc, { stream: broker.home, objects: broker.objects });
    return (await store([event]))[0];
  });
  if (options.json) return printJson(stored);
  if (stored === undefined) return;
  const { id, source, stream, seq, duplicate } = stored;
  const what = duplicate ? "was stored before" : "stored";
  print(printable(`${what}: ${stream} ${seq}  (source ${source}, id ${id})`));
}

async function bytesOf(data: string | undefined): Promise<Uint8Array | undefined> {
  if (data === undefined) return undefined;
  if (data === "-") return Buffer.from(await text(process.stdin));
  if (!data.startsWith("@")) return Buffer.from(data);
  try {
    return readFileSync(data.slice(1));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw usage(`the data cannot be read: ${why}`);
  }
}

function eventOf(
  type: string,
  bytes: Uint8Array | undefined,
  app: string,
  { contentType, ...given }: Attributes,
): CloudEvent {
  const decoded = bytes && decodeData(bytes, contentType);
  if (decoded?.ok === false) throw refused(decoded.fault);
  const attributes = new Map<string, unknown>([
    ["specversion", "1.0"],
    ["id", given.id ?? ulid()],
    ["source", given.source ?? `/${app}/cli`],
    ["type", type],
    ["subject", given.subject],
    ["time", given.time ?? new Date().toISOString()],
    ["datacontenttype", decoded && contentType],
    ["partitionkey", given.key],
    ...Object.entries(given.ext ?? {}),
  ]);
  const made = makeEvent(attributes, decoded?.data);
  if (!made.ok) throw refused(made.fault);
  return made.event;
}

function refused({ code, message }: { code: string; message: string }): EddyError {
  return usage(`${message} (${code}). Nothing was stored`);
}

function extension(text: string, before: Readonly<Record<string, string>> = {}) {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw usage(`--ext must be name=value, got ${JSON.stringify(text)}`);
  }
  return { ...before, [name]: value };
}
