// Tells what a file is.
import { readFileSync } from 'node:fs';
import path from 'node:path';

// Whether a file is an ECMAScript module, and not one of CommonJS.
export function isModule(file) {
  if (!file.endsWith('.js')) return file.endsWith('.mjs');
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    try {
      const { type } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
      return type === 'module' || (type === undefined && isModuleText(file));
    } catch {
      if (folder === path.dirname(folder)) return isModuleText(file);
    }
  }
}

function isModuleText(file) {
  return /^\s*(?:import\s+[\w{*'"]|export\s+[\w{*])/m.test(readFileSync(file, 'utf8'));
}
