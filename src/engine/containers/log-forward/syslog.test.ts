import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SyslogFormatter } from './syslog-format.ts';
import { type SyslogSettings, syslogSettings } from './syslog-options.ts';

const sender = { tag: 'tag', pid: 7, host: 'here' };
const settings = (options: Readonly<Record<string, string>> = {}) => syslogSettings(options);
/** The fifth of a month at five past four, in this machine's zone. */
const time = { seconds: new Date(2026, 10, 5, 4, 5, 6).getTime() / 1000, nanos: 123_456_789 };

const formatted = (given: SyslogSettings, text = 'words', isStderr = false) =>
  new SyslogFormatter(given, sender)
    .format({
      isStderr,
      time,
      text: Buffer.from(text),
      mark: { file: '', offset: 0, taken: 0 },
    })
    .toString();

function zone(): string {
  const minutes = -new Date(time.seconds * 1000).getTimezoneOffset();
  if (minutes === 0) return 'Z';
  const [hours, rest] = [Math.trunc(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `${minutes < 0 ? '-' : '+'}${String(hours).padStart(2, '0')}:${String(rest).padStart(2, '0')}`;
}

test('messages as a server gets them', () => {
  assert.equal(formatted(settings()), '<30>Nov  5 04:05:06 tag[7]: words\n');
  assert.equal(formatted(settings(), 'words', true), '<27>Nov  5 04:05:06 tag[7]: words\n');
  const as = (format: string, more = {}) => formatted(settings({ 'syslog-format': format, ...more }));
  assert.equal(as('rfc3164'), '<30>Nov  5 04:05:06 here tag[7]: words\n');
  const rfc5424 = `<158>1 2026-11-05T04:05:06${zone()} here tag 7 tag - words\n`;
  assert.equal(as('rfc5424', { 'syslog-facility': 'local3' }), rfc5424);
  assert.equal(as('rfc5424micro'), `<30>1 2026-11-05T04:05:06.123456${zone()} here tag 7 tag - words\n`);
  const counted = as('rfc5424', { 'syslog-address': 'tcp+tls://host', 'syslog-facility': '19' });
  assert.equal(counted, `${rfc5424.length} ${rfc5424}`);
});

test('addresses', () => {
  const address = (text: string) => settings({ 'syslog-address': text }).address;
  assert.deepEqual(address(''), { network: 'local' });
  assert.deepEqual(address('udp://'), { network: 'udp', host: '', port: 514 });
  assert.deepEqual(address('tcp://log:601'), { network: 'tcp', host: 'log', port: 601 });
  assert.deepEqual(address('tcp+tls://[::1]:6514'), { network: 'tcp+tls', host: '::1', port: 6514 });
  assert.deepEqual(address('unixgram:///dev/null'), { network: 'unixgram', path: '/dev/null' });
});

test('options that dockerd refuses', () => {
  const refused = (name: string, value: string, message: string) =>
    assert.throws(() => settings({ [`syslog-${name}`]: value }), { message });
  refused('address', 'foo', "unsupported scheme: ''");
  refused('address', '/dev/log', "unsupported scheme: ''");
  refused('address', 'http://a:1', "unsupported scheme: 'http'");
  refused('address', '127.0.0.1:514', 'parse "127.0.0.1:514": first path segment in URL cannot contain colon');
  refused('address', 'udp://a:xx', 'parse "udp://a:xx": invalid port ":xx" after host');
  refused('address', 'udp://::1:5', 'address ::1:5: too many colons in address');
  refused('address', 'unix:///not/there', 'stat /not/there: no such file or directory');
  refused('address', 'unix://', 'stat : no such file or directory');
  refused('facility', 'foo', 'invalid syslog facility');
  refused('facility', '24', 'invalid syslog facility');
  refused('facility', '-1', 'invalid syslog facility');
  refused('format', 'foo', 'Invalid syslog format');
});

test('a head is made anew with another stream or second', () => {
  const formatter = new SyslogFormatter(settings({ 'syslog-format': 'rfc3164' }), sender);
  const told = (isStderr: boolean, later: number) =>
    formatter
      .format({
        isStderr,
        time: { ...time, seconds: time.seconds + later },
        text: Buffer.from('x'),
        mark: { file: '', offset: 0, taken: 0 },
      })
      .toString();
  assert.equal(told(false, 0), '<30>Nov  5 04:05:06 here tag[7]: x\n');
  assert.equal(told(true, 0), '<27>Nov  5 04:05:06 here tag[7]: x\n');
  assert.equal(told(true, 1), '<27>Nov  5 04:05:07 here tag[7]: x\n');
});
