// Carries values between the process of the tests and that of the code under test.
//
// Numbers, texts and the like travel as they are, and what both processes have of their own by its name. Every other
// object is held by both sides, under one number: the side that did not make it has one of the same kind and prototype,
// with the same properties, and whatever has changed since the last message travels with the next. A function of the
// code is a function there that asks for a call. So the tests compare data of their own process, and nothing is
// executed to read a message, which is JSON after four bytes with its length.
import { readSync, writeSync } from 'node:fs';
import { NotPlain, VIEWS, WELL_KNOWN, isBytes, isClosed, isItem, kindOf, named, names, prototypes, viewOf } from './kinds.mjs';

const MAX_BYTES = 32 * 1024 * 1024;
const MAX_SHARED = 20_000;
const DEFAULT = 7; // writable, enumerable, configurable
const FROZEN = 3;
const HIDDEN = { writable: true, enumerable: false, configurable: true };
const UNSEEN = ['symbol', 'closed'];

// Reads and writes messages at a descriptor that blocks.
export class Line {
  constructor(descriptor) {
    this.descriptor = descriptor;
  }

  send(data) {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(data.length);
    for (let rest = Buffer.concat([head, data]); rest.length;) {
      try {
        const written = writeSync(this.descriptor, rest);
        if (!(written > 0)) throw new Error('nothing can be written');
        rest = rest.subarray(written);
      } catch (error) {
        if (error.code !== 'EAGAIN') throw error;
      }
    }
  }

  receive() {
    const length = this.#read(4).readUInt32BE();
    if (length > MAX_BYTES) throw new Error('a message is too long');
    return this.#read(length);
  }

  #read(count) {
    const data = Buffer.alloc(count);
    for (let got = 0; got < count;) {
      const more = readSync(this.descriptor, data, got, count - got, null);
      if (!more) throw new Error('there is no more');
      got += more;
    }
    return data;
  }
}

// The objects that both sides hold. `side` makes functions, promises and closed objects of the other side, and is told of
// each object that is to be shared.
export class Shared {
  #objects = new Map();
  #numbers = new Map();
  #known = new Map();
  #closed = new Set();

  constructor(first, side) {
    this.next = first;
    this.side = side;
  }

  // A message with all changes. Throws NotPlain, and then nothing may be sent.
  packed(message) {
    const before = this.next;
    try {
      return this.#packed(message);
    } catch (error) {
      for (; this.next > before; this.next -= 2) {
        this.#numbers.delete(this.#objects.get(this.next - 2));
        this.#objects.delete(this.next - 2);
      }
      throw error;
    }
  }

  #packed(message) {
    const body = this.#pack(message);
    const updates = [];
    // Objects that are met meanwhile are added at the end, and come up too.
    for (const [number, value] of this.#objects) {
      const content = this.#content(value);
      const text = JSON.stringify(content);
      const known = this.#known.get(number);
      if (known === text) continue;
      updates.push([number, known === undefined ? this.#description(value) : null, content, text]);
    }
    const data = Buffer.from(JSON.stringify([updates.map((update) => update.slice(0, 3)), body]));
    if (data.length > MAX_BYTES) throw new NotPlain('too much at once');
    for (const [number, , , text] of updates) this.#known.set(number, text);
    return data;
  }

  // The message again. Throws for what no side sends.
  unpacked(data) {
    const [updates, body] = JSON.parse(data);
    const made = updates.filter(([, description]) => description !== null);
    for (const [number, description] of made) {
      if (this.#objects.has(number)) throw new Error('an object is made twice');
      this.#add(number, this.#shell(number, description));
    }
    for (const [number, [kind, proto]] of made) {
      if (!UNSEEN.includes(kind)) Object.setPrototypeOf(this.#objects.get(number), this.#prototype(kind, proto));
    }
    for (const [number, , content] of updates) if (content !== null) this.#fill(this.#objects.get(number), content);
    for (const [number] of updates) this.#known.set(number, JSON.stringify(this.#content(this.#objects.get(number))));
    return this.#unpack(body);
  }

  // Let an object stand for another one when it is sent.
  alias(value, other) {
    this.#numbers.set(value, this.#numbers.get(other));
  }

  number(value) {
    return this.#numbers.get(value);
  }

  #add(number, value) {
    if (this.#objects.size >= MAX_SHARED) throw new NotPlain('too many objects');
    this.#objects.set(number, value);
    this.#numbers.set(value, number);
  }

  #pack(value) {
    if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
    if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0) ? value : ['number', Object.is(value, -0) ? '-0' : `${value}`];
    if (value === undefined) return ['undefined'];
    if (typeof value === 'bigint') return ['bigint', `${value}`];
    if (typeof value === 'symbol') {
      const known = WELL_KNOWN.find((name) => Symbol[name] === value);
      if (known || Symbol.keyFor(value) !== undefined) return ['symbol', known ?? null, Symbol.keyFor(value) ?? null];
    }
    if (names.has(value)) {
      if (!named.has(names.get(value))) throw new NotPlain('a prototype of the process itself is passed on');
      return ['named', names.get(value)];
    }
    if (!this.#numbers.has(value)) {
      this.side.shares(value, isClosed(value));
      if (isClosed(value)) this.#closed.add(value);
      this.#add(this.next, value);
      this.next += 2;
    }
    return ['object', this.#numbers.get(value)];
  }

  #unpack(value) {
    if (!Array.isArray(value)) return value;
    const [kind, content, key] = value;
    if (kind === 'number') return Number(content);
    if (kind === 'undefined') return undefined;
    if (kind === 'bigint') return BigInt(content);
    if (kind === 'symbol' && content === null) return Symbol.for(key);
    if (kind === 'symbol' && WELL_KNOWN.includes(content)) return Symbol[content];
    if (kind === 'named' && named.has(content)) return named.get(content);
    if (kind === 'object' && this.#objects.has(content)) return this.#objects.get(content);
    throw new Error(`no value: ${kind}`);
  }

  #prototype(kind, proto) {
    if (Array.isArray(proto) && prototypes.has(proto[1])) return prototypes.get(proto[1]);
    if (isBytes(kind)) throw new Error('bytes with another prototype');
    return this.#unpack(proto);
  }

  // What the other side makes an object from: its kind, its prototype, and what stays as it is.
  #description(value) {
    if (typeof value === 'symbol') return ['symbol', null, value.description ?? null];
    if (this.#closed.has(value)) return ['closed', null, typeof value];
    const kind = kindOf(value);
    const proto = Object.getPrototypeOf(value);
    const about = { function: () => Object.hasOwn(value, 'prototype'), view: () => [viewOf(value), value.byteLength], regexp: () => [value.source, value.flags],
      buffer: () => value.byteLength }[kind]?.();
    return [kind, prototypes.has(names.get(proto)) ? ['named', names.get(proto)] : this.#pack(proto), about ?? null];
  }

  #shell(number, [kind, , about]) {
    switch (kind) {
      case 'symbol': return Symbol(about ?? undefined);
      case 'function': return this.side.function(about);
      case 'promise': return this.side.promise(number);
      case 'closed': return this.#closing(this.side.closed(about));
      case 'array': return [];
      case 'map': return new Map();
      case 'set': return new Set();
      case 'date': return new Date(0);
      case 'regexp': return new RegExp(...about);
      case 'error': return new Error();
      case 'view': return new globalThis[VIEWS.find((name) => name === about[0])](new ArrayBuffer(about[1]));
      case 'buffer': return new ArrayBuffer(about);
      default: return {};
    }
  }

  #closing(value) {
    this.#closed.add(value);
    return value;
  }

  // All that may change of an object: [level, properties, items].
  #content(value) {
    if (typeof value === 'symbol' || this.#closed.has(value)) return null;
    const kind = kindOf(value);
    const level = !Object.isExtensible(value) && kind !== 'namespace' ? Object.isFrozen(value) ? FROZEN : Object.isSealed(value) ? 2 : 1 : 0;
    const properties = [];
    for (const key of Reflect.ownKeys(value)) {
      if (isItem(kind, key)) continue;
      const found = kind === 'error' && key === 'stack' ? { value: `${value.stack}`, ...HIDDEN } : Object.getOwnPropertyDescriptor(value, key);
      const flags = kind === 'namespace' ? DEFAULT : (found.writable ? 1 : 0) + (found.enumerable ? 2 : 0) + (found.configurable ? 4 : 0);
      const name = typeof key === 'string' ? key : this.#pack(key);
      if ('value' in found) properties.push(flags === DEFAULT ? [name, this.#pack(found.value)] : [name, flags, this.#pack(found.value)]);
      else properties.push([name, flags, this.#pack(found.get), this.#pack(found.set)]);
    }
    if (isBytes(kind) && properties.length) throw new NotPlain('bytes with properties');
    return [level, properties, this.#items(kind, value)];
  }

  #items(kind, value) {
    switch (kind) {
      case 'array': return Array.from({ length: value.length }, (_, i) => this.#item(value, i));
      case 'map': return [...Map.prototype.entries.call(value)].map((pair) => [this.#pack(pair[0]), this.#pack(pair[1])]);
      case 'set': return [...Set.prototype.values.call(value)].map((item) => this.#pack(item));
      case 'date': return this.#pack(Date.prototype.getTime.call(value));
      case 'view': return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
      case 'buffer': return Buffer.from(value).toString('base64');
      default: return null;
    }
  }

  #item(list, i) {
    const found = Object.getOwnPropertyDescriptor(list, i);
    if (found === undefined) return ['hole'];
    if (!('value' in found) || !found.enumerable) throw new NotPlain('a list with an item that is computed');
    return this.#pack(found.value);
  }

  #fill(value, [level, properties, items]) {
    const kind = kindOf(value);
    for (const key of Reflect.ownKeys(value)) if (!isItem(kind, key)) Reflect.deleteProperty(value, key);
    for (const [name, ...rest] of properties) {
      const flags = rest.length === 1 ? DEFAULT : rest[0];
      const made = { enumerable: (flags & 2) > 0, configurable: (flags & 4) > 0 };
      if ((rest.length === 3 && kind === 'error' && name === 'stack') || isBytes(kind)) throw new Error('a property that nothing has');
      if (rest.length < 3) Object.assign(made, { writable: (flags & 1) > 0, value: this.#unpack(rest.at(-1)) });
      else Object.assign(made, { get: this.#unpack(rest[1]), set: this.#unpack(rest[2]) });
      Object.defineProperty(value, typeof name === 'string' ? name : this.#unpack(name), made);
    }
    this.#fillItems(kind, value, items);
    const seal = [null, Object.preventExtensions, Object.seal, Object.freeze][level];
    seal?.(value);
  }

  #fillItems(kind, value, items) {
    if (kind === 'array' && !Object.isFrozen(value)) {
      value.length = 0;
      value.length = items.length;
      for (const [i, item] of items.entries()) if (item?.[0] !== 'hole') Object.defineProperty(value, i, { value: this.#unpack(item), writable: true, enumerable: true, configurable: true });
    } else if (kind === 'map') {
      Map.prototype.clear.call(value);
      for (const [key, item] of items) Map.prototype.set.call(value, this.#unpack(key), this.#unpack(item));
    } else if (kind === 'set') {
      Set.prototype.clear.call(value);
      for (const item of items) Set.prototype.add.call(value, this.#unpack(item));
    } else if (kind === 'date') Date.prototype.setTime.call(value, this.#unpack(items));
    else if (kind === 'view') Buffer.from(items, 'base64').copy(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
    else if (kind === 'buffer') Buffer.from(items, 'base64').copy(Buffer.from(value));
  }
}

