import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completeLogConfig, logLimits } from './log-config.ts';

const path = '/log';
const limits = (type: string, config: Readonly<Record<string, string>> = {}) =>
  logLimits({ Type: type, Config: config }, path);

test('how much is kept, said or not', () => {
  assert.deepEqual(limits('json-file'), { path, maxBytes: 100_000_000, maxFiles: 3 });
  assert.deepEqual(limits('json-file', { 'max-size': '10k' }), { path, maxBytes: 10_000, maxFiles: 1 });
  assert.deepEqual(limits('json-file', { 'max-size': '1.5m', 'max-file': '4' }), {
    path,
    maxBytes: 1_500_000,
    maxFiles: 4,
  });
  assert.deepEqual(limits('json-file', { 'max-file': '7' }), { path, maxBytes: 100_000_000, maxFiles: 7 });
  assert.deepEqual(limits('local'), { path, maxBytes: 20_000_000, maxFiles: 5 });
  const cached = { 'cache-max-size': '1m', 'cache-max-file': '2' };
  assert.deepEqual(limits('syslog'), { path, maxBytes: 20_000_000, maxFiles: 5 });
  assert.deepEqual(limits('journald', cached), { path, maxBytes: 1_000_000, maxFiles: 2 });
  assert.deepEqual(limits('json-file', cached), { path, maxBytes: 100_000_000, maxFiles: 3 });
  assert.equal(limits('none', { anything: 'x' }), undefined);
});

test('values dockerd finds fault with at the start', () => {
  const fault = (config: Readonly<Record<string, string>>, message: string) =>
    assert.throws(() => limits('json-file', config), { message });
  fault({ 'max-size': 'abc' }, "invalid size: 'abc'");
  fault({ 'max-size': '-1' }, "invalid size: '-1'");
  fault({ 'max-size': '0' }, 'max-size must be a positive number');
  fault({ 'max-file': 'x' }, 'strconv.Atoi: parsing "x": invalid syntax');
  fault({ 'max-file': '0' }, 'max-file cannot be less than 1');
  fault({ compress: 'zz' }, 'strconv.ParseBool: parsing "zz": invalid syntax');
});

test('the same of local, whose words are others, and which takes no limits', () => {
  const fault = (config: Readonly<Record<string, string>>, message: string) =>
    assert.throws(() => limits('local', config), { message });
  fault({ 'max-size': '-1' }, "invalid value for max-size: -1: invalid size: '-1'");
  fault({ 'max-file': 'x', compress: 'y' }, 'invalid value for max-file: x: strconv.Atoi: parsing "x": invalid syntax');
  fault({ compress: 'zz' }, 'error reading compress log option: strconv.ParseBool: parsing "zz": invalid syntax');
  fault({ 'max-file': '1' }, 'compression cannot be enabled when max file count is 1');
  fault({ 'max-file': '-3' }, 'max file count cannot be less than 0');
  const unlimited = { path, maxBytes: Number.POSITIVE_INFINITY, maxFiles: 1 };
  assert.deepEqual(limits('local', { 'max-size': '0', 'max-file': '0', compress: 'false' }), unlimited);
});

test('the daemon’s options hold where a container names its driver or none', () => {
  const daemon = { driver: 'local', options: { 'max-size': '1m', 'max-file': '2' } };
  assert.deepEqual(completeLogConfig(undefined, daemon), {
    Type: 'local',
    Config: { 'max-file': '2', 'max-size': '1m' },
  });
  assert.deepEqual(completeLogConfig({ Type: 'local', Config: { 'max-size': '2m' } }, daemon), {
    Type: 'local',
    Config: { 'max-file': '2', 'max-size': '2m' },
  });
  assert.deepEqual(completeLogConfig({ Type: 'json-file' }, daemon), { Type: 'json-file', Config: {} });
});

test('drivers and options that cannot be', () => {
  const refused = (type: string, config: Readonly<Record<string, string>>, message: string) =>
    assert.throws(() => completeLogConfig({ Type: type, Config: config }), { message });
  refused('json-file', { bogus: '1' }, "unknown log opt 'bogus' for json-file log driver");
  refused('local', { labels: 'x' }, "unknown log opt 'labels' for log driver local");
  refused('bogus', {}, 'error looking up logging plugin bogus: plugin "bogus" not found');
  refused('gelf', {}, 'log driver gelf is not supported yet: use json-file, local, journald, syslog or none');
  refused('json-file', { mode: 'bogus' }, 'logger: logging mode not supported: bogus');
  refused(
    'json-file',
    { 'max-buffer-size': '1m' },
    "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
  );
  refused('json-file', { compress: 'true' }, 'log-opt compress is not supported yet: got "true"');
  refused('syslog', { bogus: '1' }, "unknown log opt 'bogus' for syslog log driver");
  refused('syslog', { 'max-size': '1m' }, "unknown log opt 'max-size' for syslog log driver");
  refused('journald', { 'cache-bogus': '1' }, "unknown log opt 'cache-bogus' for journald log driver");
  refused('syslog', { 'cache-disabled': 'zz' }, 'invalid value for option cache-disabled: zz');
  refused('syslog', { 'cache-compress': '1' }, 'log-opt cache-compress is not supported yet: got "true"');
  completeLogConfig({
    Type: 'json-file',
    Config: { mode: 'non-blocking', 'max-buffer-size': '1m', compress: 'false' },
  });
});
