import type { LogConfig } from '#api-types';
import { EngineError } from '#errdefs';
import type { LogLimits } from '#runtime';
import { syslogSettings } from './log-forward/syslog-options.ts';

/** What is kept when nobody says anything: a container cannot fill the disk by talking. dockerd sets no limit for json-file. */
const jsonFileDefaults = { maxBytes: 100_000_000, maxFiles: 3 };
const localDefaults = { maxBytes: 20_000_000, maxFiles: 5 };

const everywhere = ['mode', 'max-buffer-size'];
const knownOptions: Readonly<Record<string, readonly string[]>> = {
  'json-file': ['max-file', 'max-size', 'compress', 'labels', 'labels-regex', 'env', 'env-regex', 'tag'],
  local: ['max-file', 'max-size', 'compress'],
  journald: ['labels', 'labels-regex', 'env', 'env-regex', 'tag'],
  syslog: [
    ...['env', 'env-regex', 'labels', 'labels-regex', 'syslog-address', 'syslog-facility', 'syslog-tls-ca-cert'],
    ...['syslog-tls-cert', 'syslog-tls-key', 'syslog-tls-skip-verify', 'tag', 'syslog-format'],
  ],
};
/** How much is kept of what a driver sends elsewhere, to be read here. */
const cacheOptions = ['cache-disabled', 'cache-max-size', 'cache-max-file', 'cache-compress'];
const remoteDrivers = ['awslogs', 'etwlogs', 'fluentd', 'gcplogs', 'gelf', 'splunk'];

/** The daemon's own `--log-driver` and `--log-opt`. */
export interface LogDefaults {
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
}

const builtIn: LogDefaults = { driver: 'json-file', options: {} };

/**
 * The driver and options of a container: its own, and the daemon's where it names none or the same driver.
 * @throws `invalid-argument` in dockerd's words; `not-implemented` naming a driver or option that is not honoured.
 */
export function completeLogConfig(given: LogConfig | undefined, defaults: LogDefaults = builtIn): LogConfig {
  const driver = given?.Type || defaults.driver || 'json-file';
  const inherited = driver === (defaults.driver || 'json-file') ? defaults.options : {};
  const options = { ...inherited, ...given?.Config };
  checkDriver(driver);
  checkMode(options);
  checkCache(options);
  const known = knownOptions[driver];
  if (known) {
    for (const name of Object.keys(options)) {
      if (![...known, ...everywhere, ...cacheOptions].includes(name)) throw unknownOption(name, driver);
    }
    for (const name of ['compress', 'cache-compress']) {
      if (!isTrue(options[name])) continue;
      throw new EngineError('not-implemented', `log-opt ${name} is not supported yet: got "true"`);
    }
  }
  if (driver === 'syslog') syslogSettings(options);
  return { Type: driver, Config: Object.fromEntries(Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1))) };
}

function unknownOption(name: string, driver: string): EngineError {
  const where = driver === 'local' ? 'log driver local' : `${driver} log driver`;
  return new EngineError('invalid-argument', `unknown log opt '${name}' for ${where}`);
}

function checkDriver(driver: string): void {
  if (driver === 'none' || driver in knownOptions) return;
  if (remoteDrivers.includes(driver)) {
    const use = `use ${Object.keys(knownOptions).join(', ')} or none`;
    throw new EngineError('not-implemented', `log driver ${driver} is not supported yet: ${use}`);
  }
  throw new EngineError(
    'invalid-argument',
    `error looking up logging plugin ${driver}: plugin ${JSON.stringify(driver)} not found`,
  );
}

/** A file makes nobody wait, so both modes are the same here. */
function checkMode(options: Readonly<Record<string, string>>): void {
  const refuse = (message: string) => {
    throw new EngineError('invalid-argument', message);
  };
  const mode = options['mode'] ?? '';
  if (!['', 'blocking', 'non-blocking'].includes(mode)) refuse(`logger: logging mode not supported: ${mode}`);
  const buffer = options['max-buffer-size'];
  if (buffer === undefined) return;
  if (mode !== 'non-blocking') refuse("logger: max-buffer-size option is only supported with 'mode=non-blocking'");
  if (sizeBytes(buffer, 1024) === undefined) {
    refuse(`error parsing option max-buffer-size: invalid size: '${buffer}'`);
  }
}

function checkCache(options: Readonly<Record<string, string>>): void {
  const disabled = options['cache-disabled'] ?? '';
  if (disabled === '' || isBoolean(disabled)) return;
  throw new EngineError('invalid-argument', `invalid value for option cache-disabled: ${disabled}`);
}

/** Whether `docker logs` is answered. The journal keeps what it gets itself, so no option makes its messages unreadable. */
export function isReadable(config: LogConfig | undefined): boolean {
  const driver = config?.Type || 'json-file';
  return driver !== 'none' && !(driver === 'syslog' && isTrue(config?.Config?.['cache-disabled']));
}

/**
 * How a container's log is kept; undefined for `none`. Asked at the start, as dockerd looks at the values only then.
 * @throws `internal` in dockerd's words.
 */
export function logLimits(config: LogConfig | undefined, path: string): LogLimits | undefined {
  const driver = config?.Type || 'json-file';
  if (driver === 'none') return undefined;
  const fail = (message: string): never => {
    throw new EngineError('internal', message);
  };
  const options = config?.Config ?? {};
  const defaults = driver === 'json-file' ? jsonFileDefaults : localDefaults;
  const prefix = driver === 'json-file' || driver === 'local' ? '' : 'cache-';
  const about = (name: string, value: string) => (driver === 'local' ? `invalid value for ${name}: ${value}: ` : '');
  const size = options[`${prefix}max-size`];
  const maxBytes = size === undefined ? defaults.maxBytes : sizeBytes(size, 1000);
  if (maxBytes === undefined) return fail(`${about('max-size', size!)}invalid size: '${size}'`);
  if (maxBytes === 0 && driver !== 'local') fail('max-size must be a positive number');
  const files = options[`${prefix}max-file`];
  if (files !== undefined && !/^[+-]?\d+$/.test(files)) {
    fail(`${about('max-file', files)}strconv.Atoi: parsing ${JSON.stringify(files)}: invalid syntax`);
  }
  // dockerd's own: who limits the size of a json-file log and says no more gets one file.
  const maxFiles = Number(files ?? (size !== undefined && driver === 'json-file' ? 1 : defaults.maxFiles));
  const compress = options[`${prefix}compress`];
  if (compress !== undefined && !isBoolean(compress)) {
    const where = driver === 'local' ? 'error reading compress log option: ' : '';
    fail(`${where}strconv.ParseBool: parsing ${JSON.stringify(compress)}: invalid syntax`);
  }
  if (driver === 'local' && maxFiles < 0) fail('max file count cannot be less than 0');
  // dockerd compresses those of `local` unless told otherwise.
  if (driver === 'local' && maxFiles <= 1 && (compress === undefined || isTrue(compress))) {
    fail('compression cannot be enabled when max file count is 1');
  }
  if (driver !== 'local' && maxFiles < 1) fail('max-file cannot be less than 1');
  // To `local` none of either means no limit, and one file.
  return { path, maxBytes: maxBytes || Number.POSITIVE_INFINITY, maxFiles: Math.max(maxFiles, 1) };
}

const isBoolean = (text: string) => /^(1|t|true|0|f|false)$/i.test(text);
const isTrue = (text: string | undefined) => text !== undefined && /^(1|t|true)$/i.test(text);

/** `10k`, `1.5 MB`: json-file counts in thousands, buffers in 1024s. */
function sizeBytes(text: string, unit: 1000 | 1024): number | undefined {
  const [, count, letter = ''] = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text) ?? [];
  if (count === undefined) return undefined;
  return Math.floor(Number(count) * unit ** ' kmgtp'.indexOf(letter.toLowerCase() || ' '));
}
