// Server-sent events as they come in a body (WHATWG HTML, section 9.2): fields in lines, an event ends with an empty one.

export interface ServerEvent {
  readonly id: string | undefined;
  /** `message` where it says none. */
  readonly name: string;
  readonly data: string;
}

/** Of who waits for what comes over a line. */
export interface Patience {
  begin(): void;
  end(): void;
}

const charsMax = 16 * 2 ** 20; // of one event: a server that never ends one must not fill the memory

/** Events with data; comments and fields that are not known say nothing. Throws a RangeError for one that is too long.
 * `patience` is told when something is waited for, and when it has come. */
export async function* eventsIn(
  body: ReadableStream<Uint8Array>,
  patience: Patience,
): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      patience.begin();
      const { done, value } = await reader.read();
      patience.end();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      const blocks = rest.split("\n\n");
      rest = blocks.pop() ?? "";
      if (rest.length > charsMax) throw new RangeError("an event of the node is too long");
      for (const block of blocks) {
        const event = eventOf(block);
        if (event !== undefined) yield event;
      }
    }
  } finally {
    await reader.cancel().catch(() => {}); // gone already
  }
}

function eventOf(block: string): ServerEvent | undefined {
  let id: string | undefined;
  let name = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const [, field, value = ""] = /^(\w+):? ?(.*)$/.exec(line) ?? [];
    if (field === "id") id = value;
    if (field === "event") name = value;
    if (field === "data") data.push(value);
  }
  return data.length === 0 ? undefined : { id, name, data: data.join("\n") };
}
