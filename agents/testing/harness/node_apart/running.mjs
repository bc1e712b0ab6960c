// Knows which test runs: `node:test` for the files of tests, with functions that note it.
import { AsyncLocalStorage } from 'node:async_hooks';
import * as original from 'node:test';

const NOTING = new Set(['test', 'it', 'describe', 'suite', 'only', 'skip', 'todo']);
const names = new AsyncLocalStorage();
const wrappers = new Map();

// The name of the test or suite that runs, after those of its suites; undefined where none is known.
export const running = () => names.getStore();

// What `import` finds in it.
export const exported = { ...withNotes(Object.entries(original)), default: wrapped(original.default) };

function withNotes(entries) {
  return Object.fromEntries(entries.map(([name, value]) => [name, NOTING.has(name) ? wrapped(value) : value]));
}

function wrapped(call) {
  if (!wrappers.has(call)) {
    const wrapper = function (...values) {
      const last = values.findLastIndex((value) => typeof value === 'function');
      if (last >= 0) values[last] = noted(values[0], values[last]);
      return Reflect.apply(call, this, values);
    };
    wrappers.set(call, wrapper);
    Object.assign(wrapper, withNotes(Object.entries(call)));
  }
  return wrappers.get(call);
}

function noted(name, body) {
  const outer = running();
  const whole = typeof name !== 'string' ? outer : outer === undefined ? name : `${outer} > ${name}`;
  const note = function (...values) {
    return names.run(whole, () => Reflect.apply(body, this, values));
  };
  // By it the test runner sees whether a test calls back.
  return Object.defineProperty(note, 'length', { value: body.length });
}
