// Runs one file of tests in Node's test runner, between canaries: tests that must fail. `supervise.py` starts it.
//
// It reads its order as JSON from stdin: {"token", "pipe", "file", "canaries": {kind: name}, "apart": null, or the
// paths of "tests" and "code" where the code has a process of its own, which `supervise.py` starts; then also "peer" and
// "bell", descriptors}. The events do not say which tests are canaries; the reader of the events knows.
import assert from 'node:assert';
import { EventEmitter } from 'node:events';
import { readFileSync, writeSync } from 'node:fs';
import Module, { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import { Readable } from 'node:stream';
import test from 'node:test';
import { pathToFileURL } from 'node:url';
import { isModule } from './node_apart/files.mjs';
import { told } from './node_assertions.mjs';

const order = JSON.parse(readFileSync(0, 'utf8'));
// What the code under test could replace is taken before it is loaded.
const { stringify } = JSON;
const { apply, ownKeys } = Reflect;
const { from } = Buffer;
const { subarray } = Uint8Array.prototype;

export function send(kind, { name, ...values }) {
  const id = name === undefined ? order.file : `${order.file}::${name}`;
  // Without a prototype, so that nobody's `toJSON` is asked.
  const event = { __proto__: null, token: order.token, kind, id, ...values };
  let data = apply(from, Buffer, [stringify(event) + '\n']);
  while (data.length) data = apply(subarray, data, [writeSync(order.pipe, data)]);
}

const [assertions, strict] = told([assert, assert.strict], path.resolve(order.file), () => send('refuted', {}));
syncBuiltinESMExports();
// What carries the report out of the process.
for (const name of ['writeBuffer', 'writeString']) Object.defineProperty(process.binding('fs'), name, { writable: false, configurable: false });
const seals = [Readable, EventEmitter].map(({ prototype }) => [prototype, entries(prototype)]);

function entries(prototype) {
  return new Map(ownKeys(prototype).map((name) => [name, Object.getOwnPropertyDescriptor(prototype, name).value]));
}

// File and line of the first step of a stack that is in the tree.
export function place(error) {
  const folder = `${process.cwd()}/`;
  for (const [, name, line] of String(error?.stack ?? '').matchAll(/(?:file:\/\/)?(\/[^\s()]+?):(\d+)/g)) {
    const file = name.startsWith(folder) ? name.slice(folder.length) : '';
    if (file && !file.startsWith('multi-agent-test-harness/')) return { path: file, line: Number(line) };
  }
  return {};
}

async function load(file) {
  if (!order.apart) {
    const whole = path.resolve(file);
    return isModule(whole) ? import(pathToFileURL(whole)) : required(whole);
  }
  const { Apart } = await import('./node_apart/tests_side.mjs');
  const unfit = (message, name) => send('unfit', { name, message: `${message}`.slice(0, 1000) });
  return new Apart({ ...order.apart, peer: order.peer, bell: order.bell }, unfit).load(file);
}

// Load a file of CommonJS, which gets assertions and the test runner from here, whatever loads other modules meanwhile.
function required(file) {
  const module = new Module(file, null);
  const { require } = Module.prototype;
  const own = new Map(Object.entries({ assert: assertions, 'node:assert': assertions, 'assert/strict': strict, 'node:assert/strict': strict, 'node:test': test }));
  const value = (name) => own.get(name) ?? apply(require, module, [name]);
  Object.defineProperty(module, 'require', { value });
  module.load(file);
}

const bodies = {
  strictEqual: () => assertions.strictEqual(1, 2),
  deepStrictEqual: () => assertions.deepStrictEqual({ a: [1] }, { a: [2] }),
  ok: () => assertions.ok(false),
  throws: () => assertions.throws(() => 1),
  rejects: () => assertions.rejects(Promise.resolve(1)),
};

test(order.canaries.first, () => { throw new Error('must fail'); });
let broken;
try {
  await load(order.file);
} catch (error) {
  broken = error;
}
if (broken !== undefined) {
  const message = String(broken?.message ?? broken).split('\n')[0].slice(0, 1000);
  send('not_collected', { outcome: 'failed', message, ...place(broken) });
}
for (const [kind, body] of Object.entries(bodies)) test(order.canaries[kind], body);
process.on('exit', () => {
  const changed = seals.flatMap(([prototype, before]) => [...before]
    .filter(([name, value]) => Object.getOwnPropertyDescriptor(prototype, name)?.value !== value)
    .map(([name]) => `${prototype.constructor.name}.${String(name)}`));
  if ('toJSON' in Object.prototype) changed.push('Object.toJSON');
  send('changed', { changed: changed.slice(0, 5) });
});
