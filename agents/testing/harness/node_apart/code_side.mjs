// Runs the code under test for tests in another process: imports and calls what they ask for.
//
// Everything here can be changed by the code under test; the side of the tests trusts none of it. `supervise.py` starts
// it with two descriptors: of a socket, and of one at which the other side hears that a promise was settled.
import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { types } from 'node:util';
import { NotPlain, named, prototypes } from './kinds.mjs';
import { Line, Shared } from './wire.mjs';

const [descriptor, bell] = process.argv.splice(2).map(Number);
const line = new Line(descriptor);
const require = createRequire(import.meta.url);
let settled = [];

// What is built in is each process's own: what the code does to it means nothing to the tests. It is looked at in the
// end, and what all objects have with each answer.
const builtin = [...new Set([...named.values(), ...prototypes.values(), Math, JSON])].map((value) => [value, own(value)]);
const often = [Object, Array, String, Function].map(({ prototype }) => [prototype, own(prototype)]);

function own(value) {
  return Reflect.ownKeys(value).map((key) => Object.getOwnPropertyDescriptor(value, key).value);
}

function isChanged([value, before]) {
  const now = own(value);
  return now.length !== before.length || now.some((part, i) => !Object.is(part, before[i]));
}

const shared = new Shared(2, {
  shares(value, closed) {
    if (!closed && types.isPromise(value)) value.then((result) => settle(value, true, result), (error) => settle(value, false, error));
  },
  function() { throw new NotPlain('a function of the tests'); },
  promise() { throw new NotPlain('a promise of the tests'); },
  closed() { throw new NotPlain('an object of the tests'); },
});

function settle(promise, went, value) {
  if (settled.push([promise, went, value]) === 1) writeSync(bell, '.');
}

const actions = {
  load: (address) => import(address),
  require: (path) => require(path),
  call: (called, self, values) => Reflect.apply(called, self, values),
  construct: (called, values) => Reflect.construct(called, values),
  settled: () => undefined,
};

async function answered(data) {
  const [action, ...values] = shared.unpacked(data);
  try {
    const found = actions[action](...values);
    if (action === 'settled') return answer(true, found, true);
    // A promise of the code is an answer, one of a module is waited for.
    return answer(true, action === 'load' ? await found : found);
  } catch (error) {
    return answer(false, error);
  }
}

// `isLast`: there may be no other one.
function answer(went, value, isLast = false) {
  const told = settled;
  settled = [];
  if ((isLast ? builtin : often).some(isChanged)) [went, value] = [null, 'the code changes what is built in'];
  try {
    line.send(shared.packed([went, value, told]));
  } catch (error) {
    line.send(shared.packed([null, String(error?.message), []]));
  }
}

let waiting = Buffer.alloc(0);
new Socket({ fd: descriptor, readable: true, writable: false }).on('data', (data) => {
  waiting = Buffer.concat([waiting, data]);
  const length = waiting.length < 4 ? Infinity : waiting.readUInt32BE();
  if (waiting.length < 4 + length) return;
  const message = waiting.subarray(4, 4 + length);
  waiting = waiting.subarray(4 + length);
  answered(message);
}).on('close', () => process.reallyExit(0));
