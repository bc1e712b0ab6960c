// What is known of values before any travels: the objects that both processes have, and the kinds of others.
import { AssertionError } from 'node:assert';
import { types } from 'node:util';

export const WELL_KNOWN = ['iterator', 'asyncIterator', 'toPrimitive', 'toStringTag', 'species', 'isConcatSpreadable', 'match', 'matchAll',
  'replace', 'search', 'split', 'unscopables'];
const PLAIN = ['Object', 'Array', 'Map', 'Set', 'Date', 'RegExp', 'Promise', 'Number', 'String', 'Boolean', 'Symbol', 'BigInt', 'Error',
  'AggregateError', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError', 'ArrayBuffer', 'Buffer'];
export const VIEWS = ['Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array', 'Uint32Array', 'Float32Array',
  'Float64Array', 'BigInt64Array', 'BigUint64Array', 'DataView'];
const FUNCTIONS = ['parseInt', 'parseFloat', 'isNaN', 'isFinite'];

export class NotPlain extends Error {} // a value that cannot travel

const functions = [function () {}, async function () {}, function* () {}, async function* () {}].map(Object.getPrototypeOf);
// By their names: values, and prototypes, which are passed as such and as nothing else.
export const named = new Map(namedValues());
export const prototypes = new Map(namedPrototypes());
export const names = new Map([...named, ...prototypes].map(([name, value]) => [value, name]));
// What only its own process can make sense of.
const others = new Set(Reflect.ownKeys(globalThis).map((name) => Object.getOwnPropertyDescriptor(globalThis, name).value)
  .flatMap((value) => [value, typeof value === 'function' ? value.prototype : undefined]).filter((value) => Object(value) === value));

const timer = setTimeout(() => {});
others.add(Object.getPrototypeOf(timer)).add(Object.getPrototypeOf(process));
clearTimeout(timer);

function* namedValues() {
  for (const name of [...PLAIN, ...VIEWS, ...FUNCTIONS]) yield [name, globalThis[name]];
  for (const name of Object.getOwnPropertyNames(Math)) if (typeof Math[name] === 'function') yield [`Math.${name}`, Math[name]];
  yield ['AssertionError', AssertionError];
  // What makes generators is the `constructor` of them all.
  for (const [i, made] of functions.entries()) if (made.prototype) yield [`function ${i}`, made];
}

function* namedPrototypes() {
  for (const [name, value] of named) if (typeof value === 'function' && value.prototype) yield [`${name}.prototype`, value.prototype];
  for (const [i, made] of functions.entries()) yield [`function ${i}`, made];
  yield ['iterator', Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()))];
  yield ['async iterator', Object.getPrototypeOf(functions[3].prototype)];
}

// Whether an object means more than its properties say, to its own process alone.
export function isClosed(value) {
  if (typeof value === 'symbol') return false;
  if (SEALED.some((is) => is(value)) || Object.hasOwn(value, Symbol.hasInstance)) return true;
  if (isBytes(kindOf(value)) && !names.has(Object.getPrototypeOf(value))) return true;
  for (let part = value; part !== null && !names.has(part); part = Object.getPrototypeOf(part)) if (others.has(part)) return true;
  return false;
}

export function kindOf(value) {
  if (typeof value === 'function') return 'function';
  if (Array.isArray(value)) return 'array';
  return KINDS.find(([is]) => is(value))?.[1] ?? 'object';
}

// Whether such objects are bytes alone: their prototypes are named, and they have no properties of their own.
export function isBytes(kind) {
  return kind === 'view' || kind === 'buffer';
}

// Whether a property is told as an item, or follows from the items.
export function isItem(kind, key) {
  if (typeof key !== 'string' || (kind !== 'array' && kind !== 'view')) return false;
  return /^\d+$/.test(key) || (kind === 'array' && key === 'length');
}

export function viewOf(value) {
  return types.isTypedArray(value) ? VIEWS.find((name) => name === value[Symbol.toStringTag]) : 'DataView';
}

const SEALED = [types.isProxy, types.isBoxedPrimitive, types.isArgumentsObject, types.isSharedArrayBuffer, types.isExternal];
const KINDS = [[ArrayBuffer.isView, 'view'], [types.isMap, 'map'], [types.isSet, 'set'], [types.isDate, 'date'], [types.isRegExp, 'regexp'],
  [types.isNativeError, 'error'], [types.isPromise, 'promise'], [types.isArrayBuffer, 'buffer'], [types.isModuleNamespaceObject, 'namespace']];
