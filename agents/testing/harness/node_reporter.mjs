// Sends every outcome to the supervisor. Node's test runner loads it; `run_node.mjs` has opened the pipe.
import { place, send } from './run_node.mjs';

function message(error) {
  const cause = error?.cause ?? error;
  return String(cause?.message ?? cause ?? '').split('\n').filter((line) => line.trim()).join(' ').trim().slice(0, 1000);
}

export default async function* report(source) {
  const suites = [];
  for await (const { type, data } of source) {
    if (type === 'test:start') {
      suites.length = data.nesting;
      suites[data.nesting] = data.name;
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    suites.length = data.nesting;
    suites[data.nesting] = data.name;
    // Suites count through their tests, unless the suite itself fails.
    const suite = data.details?.type === 'suite';
    if (suite && (type === 'test:pass' || data.details.error?.failureType === 'subtestsFailed')) continue;
    const skipped = data.skip !== undefined || data.todo !== undefined;
    const outcome = skipped ? 'skipped' : type === 'test:pass' ? 'passed' : 'failed';
    send('test', {
      name: suites.join(' > '),
      when: 'call',
      outcome,
      ...(outcome === 'failed' ? place(data.details?.error?.cause ?? data.details?.error) : {}),
      message: outcome === 'failed' ? message(data.details?.error) : String(data.skip ?? data.todo ?? '').slice(0, 1000),
    });
  }
  send('end', { exit_code: process.exitCode ?? 0 });
}
