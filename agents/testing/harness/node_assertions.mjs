// Makes the functions of node:assert tell when they refute something, and keeps them from being replaced.

import { AssertionError } from 'node:assert';
import { inspect, types } from 'node:util';

const { apply } = Reflect;
const { exec } = RegExp.prototype;
const { captureStackTrace } = Error;
const hasInstance = Function.prototype[Symbol.hasInstance];
const holds = { throws: true, doesNotThrow: true, rejects: true, doesNotReject: true };

// Changes each module in place. `tell` is called when an assertion that stands in `file` does not hold, unless it was
// made inside another one's function. Returns what the modules are then.
export function told(modules, file, tell) {
  const wrappers = new Map();
  let inside = 0;

  function wrapped(name, original) {
    function assertion(...values) {
      const ours = calledFrom(assertion) === file;
      const nests = ours && name in holds;
      if (nests) values[1] = judged(values[1]);
      let result;
      inside += nests ? 1 : 0;
      try {
        result = apply(original, this, values);
      } catch (error) {
        inside -= nests ? 1 : 0;
        throw refuted(error, ours);
      }
      if (typeof result?.then !== 'function') {
        inside -= nests ? 1 : 0;
        return result;
      }
      return settled(result, nests, nests ? inside === 1 : ours && inside === 0);
    }

    async function settled(promise, nests, counts) {
      try {
        return await promise;
      } catch (error) {
        if (counts) tell();
        throw error;
      } finally {
        inside -= nests ? 1 : 0;
      }
    }

    function refuted(error, ours) {
      if (inside === 0 && ours) tell();
      if (error !== null && typeof error === 'object') {
        // Node.js reads it from the place of the call, which is this one.
        if (name === 'ok' && error.generatedMessage) error.message = 'The expression evaluated to a falsy value';
        captureStackTrace(error, assertion);
      }
      return error;
    }
    return assertion;
  }

  for (const module of modules) {
    for (const [name, original] of Object.entries(module)) {
      if (typeof original !== 'function' || name[0] === name[0].toUpperCase()) continue;
      if (!wrappers.has(original)) wrappers.set(original, wrapped(name, matching(name, original)));
      if (name !== 'strict') module[name] = wrappers.get(original);
    }
  }
  return modules.map(Object.freeze);
}

// Node.js tells `match` from `doesNotMatch` by what the module holds, which is then another function.
function matching(name, original) {
  if (name !== 'match' && name !== 'doesNotMatch') return original;
  return (text, pattern, message) => {
    if (!types.isRegExp(pattern)) return original(text, pattern, message);
    const holds = typeof text === 'string' && (apply(exec, pattern, [text]) !== null) === (name === 'match');
    if (holds) return undefined;
    if (types.isNativeError(message)) throw message;
    const not = name === 'match' ? '' : 'not ';
    const generated = `The input was expected to ${not}match the regular expression ${inspect(pattern)}. Input: ${inspect(text)}`;
    throw new AssertionError({ message: message ?? generated, actual: text, expected: pattern, operator: name });
  };
}

// What an error is compared with: a class by its prototype, whatever it says itself of what is of it.
function judged(expected) {
  if (typeof expected !== 'function' || expected[Symbol.hasInstance] === hasInstance) return expected;
  return (error) => apply(hasInstance, expected, [error]);
}

// The file that called a function.
function calledFrom(assertion) {
  const before = ['prepareStackTrace', 'stackTraceLimit'].map((name) => [name, Object.getOwnPropertyDescriptor(Error, name)]);
  const set = (name, value) => Object.defineProperty(Error, name, { value, configurable: true, writable: true });
  try {
    set('prepareStackTrace', (_, sites) => sites);
    set('stackTraceLimit', 1);
    const place = {};
    captureStackTrace(place, assertion);
    const name = String(place.stack[0]?.getFileName());
    return name.startsWith('file://') ? decodeURIComponent(new URL(name).pathname) : name;
  } finally {
    for (const [name, descriptor] of before) {
      if (descriptor) Object.defineProperty(Error, name, descriptor);
      else delete Error[name];
    }
  }
}
