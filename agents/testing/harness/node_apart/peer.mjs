// Asks the process of the code under test, and gives out what it answers as if it were there.
import { Socket } from 'node:net';
import { types } from 'node:util';
import { NotPlain } from './kinds.mjs';
import { Line, Shared } from './wire.mjs';

export class OneProcess extends Error {} // these tests cannot run apart from the code they test

export class Peer {
  #shared;
  #line;
  #bell;
  #unfit;
  #pending = new Map();
  #hearers = [];
  #functions = new WeakSet();
  #lost = '';

  // `order`: the descriptors. `unfit` is told why tests need one process.
  constructor(order, unfit) {
    this.#unfit = unfit;
    this.#line = new Line(order.peer);
    this.#shared = new Shared(1, {
      shares: (value, closed) => this.#shares(value, closed),
      function: (constructs) => this.#function(constructs),
      promise: (number) => this.#promise(number),
      closed: (type) => this.#closed(type),
    });
    // Heard when a promise was settled, and when the other process is gone.
    this.#bell = new Socket({ fd: order.bell, readable: true, writable: false });
    this.#bell.on('data', () => this.look()).on('close', () => this.look()).unref();
    this.#tellsNoSource();
  }

  // Note that tests need one process; to be thrown.
  refuse(reason) {
    this.#unfit(reason);
    return new OneProcess(reason);
  }

  // What the other side answers. Throws what it throws, and OneProcess.
  ask(...request) {
    const [went, value, settled] = this.#exchange(request);
    for (const hear of this.#hearers) hear();
    for (const [promise, kept, result] of settled) this.#settle(promise, kept, result);
    if (went === null) throw this.refuse(value);
    if (went) return value;
    throw value;
  }

  // Let a value stand for another one of the code's when it is passed.
  alias(value, other) {
    this.#shared.alias(value, other);
  }

  // Have a function called after each answer.
  heard(hear) {
    this.#hearers.push(hear);
  }

  // Whether the other side still answers; what it has settled is settled here.
  look() {
    try {
      this.ask('settled');
    } catch (error) {
      for (const { reject } of this.#pending.values()) reject(error);
      this.#pending.clear();
      this.#bell.destroy();
    }
  }

  #exchange(request) {
    if (this.#lost) throw this.refuse(this.#lost);
    let data;
    try {
      data = this.#shared.packed(request);
    } catch (error) {
      throw this.refuse(error.message);
    }
    // Nothing is asked while an answer is read: what it changes is then half changed.
    this.#lost = 'an answer asked for something';
    try {
      this.#line.send(data);
      const answer = this.#answer(this.#shared.unpacked(this.#line.receive()));
      this.#lost = '';
      return answer;
    } catch (error) {
      this.#lost = `no answer of the code under test: ${error.message}`;
      throw this.refuse(this.#lost);
    }
  }

  #answer(answer) {
    if (answer?.length !== 3 || !answer[2].every((settled) => settled.length === 3)) throw new Error('no answer');
    return answer;
  }

  #shares(value, closed) {
    if (closed || typeof value === 'function' || types.isPromise(value)) {
      throw new NotPlain(`a ${closed ? 'special object' : typeof value} of the tests is passed to the code`);
    }
  }

  // A function of the code has its source in its own process.
  #tellsNoSource() {
    const [functions, original] = [this.#functions, Function.prototype.toString];
    const refuse = () => this.refuse('the tests read the source of a function of the code');
    const { toString } = {
      toString() {
        if (functions.has(this)) throw refuse();
        return Reflect.apply(original, this, []);
      },
    };
    Object.defineProperty(Function.prototype, 'toString', { value: toString });
  }

  #function(constructs) {
    const made = this.#asks(constructs);
    this.#functions.add(made);
    return made;
  }

  #asks(constructs) {
    const peer = this;
    if (!constructs) {
      const { method } = { method(...values) { return peer.ask('call', method, this, values); } };
      return method;
    }
    return function called(...values) {
      if (new.target === undefined) return peer.ask('call', called, this, values);
      if (new.target !== called) throw peer.refuse('the tests derive a class from one of the code');
      return peer.ask('construct', called, values);
    };
  }

  #promise(number) {
    return new Promise((resolve, reject) => {
      this.#pending.set(number, { resolve, reject });
      this.#bell.ref();
    });
  }

  #settle(promise, kept, result) {
    const number = this.#shared.number(promise);
    const { resolve, reject } = this.#pending.get(number) ?? {};
    this.#pending.delete(number);
    if (!this.#pending.size) this.#bell.unref();
    (kept ? resolve : reject)?.(result);
  }

  // Stands for what only the code's process can look into.
  #closed(type) {
    const refuse = () => { throw this.refuse('the tests look into an object that means something in its own process alone'); };
    const traps = Object.getOwnPropertyNames(Reflect).map((name) => [name, refuse]);
    return new Proxy(type === 'function' ? function () {} : {}, Object.fromEntries(traps));
  }
}
