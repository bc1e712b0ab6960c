// Tests whose code has a process of its own: modules of the tree that serve no tests are the other side's.
import { readFileSync } from 'node:fs';
import Module, { createRequire, isBuiltin } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import vm from 'node:vm';
import { isModule } from './files.mjs';
import { Peer } from './peer.mjs';
import { exported as noted, running } from './running.mjs';

const PACKAGES = '/node_modules/'; // an environment's, which nobody can change
const USED = new Set(['assert', 'assert/strict', 'buffer', 'crypto', 'events', 'fs', 'fs/promises', 'module', 'os', 'path', 'path/posix',
  'perf_hooks', 'querystring', 'stream', 'stream/promises', 'string_decoder', 'test', 'timers', 'timers/promises', 'url', 'util']);

export class Apart {
  #peer;
  #root = process.cwd();
  #tests;
  #code;
  #sources;
  #modules = new Map();
  #loaded = new Map();

  // `order`: descriptors, and the `tests` and the `code` of the tree by their paths. `unfit` is told why a test needs one
  // process, and its name, undefined where none is known.
  constructor(order, unfit) {
    // Else this signal would open a debugger.
    process.on('SIGUSR1', () => {});
    [this.#tests, this.#code] = [order.tests, order.code].map((paths) => new Set(paths));
    // Before the other side loads anything: the code may rename folders, and put other files in the place of these.
    this.#sources = new Map(order.tests.map((file) => [path.resolve(file), readFileSync(file)]));
    this.#peer = new Peer(order, (reason) => unfit(reason, running()));
    const load = Module._load;
    Module._load = (request, parent, ...rest) => {
      if (parent?.filename?.startsWith(PACKAGES)) return load(request, parent, ...rest);
      return this.#required(request, parent, () => load(request, parent, ...rest));
    };
    process.on('exit', () => this.#peer.look());
  }

  // Load a file of tests.
  async load(file) {
    const address = pathToFileURL(path.resolve(file)).href;
    await this.#evaluated(await this.#module(address, address));
  }

  async #evaluated(module) {
    if (module.status === 'unlinked') await module.link((name, referrer) => this.#module(name, referrer.identifier));
    await module.evaluate();
    return module;
  }

  #module(name, referrer) {
    const found = this.#place(name, referrer);
    if (!this.#modules.has(found.key)) this.#modules.set(found.key, this.#made(found));
    return this.#modules.get(found.key);
  }

  // Whose a module is: `builtin`, `outside`, of the `tests`, or of the `code`.
  #place(name, referrer) {
    if (isBuiltin(name)) {
      if (!USED.has(name.replace(/^node:/, ''))) throw this.#peer.refuse(`the tests use ${name}`);
      return { kind: 'builtin', key: name };
    }
    const isPath = /^(?:\.{0,2}\/|file:)/.test(name);
    return this.#placed(isPath ? fileURLToPath(new URL(name, referrer)) : createRequire(referrer).resolve(name), name);
  }

  #placed(file, name) {
    const inside = path.relative(this.#root, file);
    if (this.#tests.has(inside)) return { kind: 'tests', key: file };
    if (this.#code.has(inside)) return { kind: 'code', key: file };
    if (file.startsWith(PACKAGES)) return { kind: 'outside', key: pathToFileURL(file).href };
    throw this.#peer.refuse(`${name} is neither a module of the tests nor one of the code`);
  }

  async #made({ kind, key }) {
    const address = kind === 'tests' || kind === 'code' ? pathToFileURL(key).href : key;
    if (kind === 'code') return this.#stand(address, this.#peer.ask(...(key.endsWith('.json') ? ['require', key] : ['load', address])), key);
    if (key === 'node:test') return synthetic(address, noted);
    if (kind !== 'tests') return synthetic(address, await import(key));
    if (!isModule(key)) return synthetic(address, { default: createRequire(address)(key) });
    return new vm.SourceTextModule(this.#source(key), {
      identifier: address,
      initializeImportMeta: (meta) => Object.assign(meta, { url: address, filename: key, dirname: path.dirname(key) }),
      importModuleDynamically: (name) => this.#imported(name, address),
    });
  }

  async #imported(name, referrer) {
    return this.#evaluated(await this.#module(name, referrer));
  }

  // A module of the code. Its exports are what they are there, whenever there was an answer.
  async #stand(address, exported, key) {
    const module = synthetic(address, key.endsWith('.json') ? { default: exported } : exported);
    await module.link(() => {});
    await module.evaluate();
    if (!key.endsWith('.json')) {
      this.#peer.alias(module.namespace, exported);
      this.#peer.heard(() => renew(module, exported));
    }
    return module;
  }

  #required(request, parent, load) {
    if (isBuiltin(request)) {
      this.#place(request);
      return request === 'node:test' ? noted.default : load();
    }
    const { kind, key } = this.#placed(Module._resolveFilename(request, parent), request);
    if (kind === 'code') return this.#peer.ask('require', key);
    if (kind === 'outside') return load();
    return (this.#loaded.get(key) ?? (key.endsWith('.json') ? this.#data(key) : this.#compiled(key))).exports;
  }

  #source(file) {
    return this.#sources.get(file).toString('utf8');
  }

  #data(file) {
    this.#loaded.set(file, { exports: JSON.parse(this.#source(file)) });
    return this.#loaded.get(file);
  }

  // As Node.js does it, but for what such a file imports.
  #compiled(file) {
    const module = new Module(file);
    Object.assign(module, { filename: file, paths: Module._nodeModulePaths(path.dirname(file)) });
    this.#loaded.set(file, module);
    const address = pathToFileURL(file).href;
    const parameters = ['exports', 'require', 'module', '__filename', '__dirname'];
    const options = { filename: file, importModuleDynamically: (name) => this.#imported(name, address) };
    const body = vm.compileFunction(this.#source(file), parameters, options);
    Reflect.apply(body, module.exports, [module.exports, createRequire(file), module, file, path.dirname(file)]);
    module.loaded = true;
    return module;
  }
}

function synthetic(address, exported) {
  const names = Object.getOwnPropertyNames(exported);
  return new vm.SyntheticModule(names, function () {
    for (const name of names) this.setExport(name, exported[name]);
  }, { identifier: address });
}

function renew(module, exported) {
  for (const name of Object.getOwnPropertyNames(exported)) {
    if (!Object.is(module.namespace[name], exported[name])) module.setExport(name, exported[name]);
  }
}
