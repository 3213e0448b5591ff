// A first-in, first-out queue for tens of thousands of items: shifting each off an array costs the square. Pure.

export interface Queue<Item> {
  push(item: Item): void;
  /** The first item, which stays. */
  peek(): Item | undefined;
  shift(): Item | undefined;
  clear(): void;
  readonly size: number;
}

const swept = 4_096; // places of items that are gone are let go together

export function createQueue<Item>(): Queue<Item> {
  let items: (Item | undefined)[] = [];
  let head = 0;
  return {
    push: (item) => void items.push(item),
    peek: () => items[head],
    shift() {
      const item = items[head];
      items[head] = undefined;
      if (head < items.length) head++;
      if (head === items.length || head >= swept) {
        items = items.slice(head);
        head = 0;
      }
      return item;
    },
    clear() {
      items = [];
      head = 0;
    },
    get size() {
      return items.length - head;
    },
  };
}
