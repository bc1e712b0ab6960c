// Runs one file of tests in Node's test runner, between canaries: tests that must fail. `supervise.py` starts it.
//
// It reads its order as JSON from stdin: {"token", "pipe", "file", "canaries": {kind: name}}. The events do not say
// which tests are canaries; the reader of the events knows.
import assert from 'node:assert';
import { readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { pathToFileURL } from 'node:url';

const order = JSON.parse(readFileSync(0, 'utf8'));
const { stringify } = JSON;
const watched = { ...assert };
const watchedStrict = { ...assert.strict };

export function send(kind, { name, ...values }) {
  const id = name === undefined ? order.file : `${order.file}::${name}`;
  let data = Buffer.from(stringify({ token: order.token, kind, id, ...values }) + '\n');
  while (data.length) data = data.subarray(writeSync(order.pipe, data));
}

// File and line of the first step of a stack that is in the tree.
export function place(error) {
  const folder = `${process.cwd()}/`;
  for (const [, name, line] of String(error?.stack ?? '').matchAll(/(?:file:\/\/)?(\/[^\s()]+?):(\d+)/g)) {
    const file = name.startsWith(folder) ? name.slice(folder.length) : '';
    if (file && !file.startsWith('.test-harness/')) return { path: file, line: Number(line) };
  }
  return {};
}

const bodies = {
  strictEqual: () => assert.strictEqual(1, 2),
  deepStrictEqual: () => assert.deepStrictEqual({ a: [1] }, { a: [2] }),
  ok: () => assert.ok(false),
  throws: () => assert.throws(() => 1),
  rejects: () => assert.rejects(Promise.resolve(1)),
};

test(order.canaries.first, () => { throw new Error('must fail'); });
let broken;
try {
  await import(pathToFileURL(path.resolve(order.file)));
} catch (error) {
  broken = error;
}
if (broken !== undefined) {
  const message = String(broken?.message ?? broken).split('\n')[0].slice(0, 1000);
  send('not_collected', { outcome: 'failed', message, ...place(broken) });
}
for (const [kind, body] of Object.entries(bodies)) test(order.canaries[kind], body);
process.on('exit', () => {
  const names = Object.keys(watched).filter((name) => assert[name] !== watched[name]);
  const strict = Object.keys(watchedStrict).filter((name) => assert.strict[name] !== watchedStrict[name]);
  send('changed', { changed: [...names, ...strict.map((name) => `strict.${name}`)].slice(0, 5) });
});
