import type { Ulimit } from '#api-types';
import type { BuildCacheOptions } from '#engine';

/** A value as it was read. */
export type OptionValue =
  | string
  | number
  | boolean
  | readonly string[]
  | Readonly<Record<string, string>>
  | DriverOptions
  | Readonly<Record<string, Ulimit>>
  | Readonly<Record<string, boolean>>
  | Readonly<Record<string, NamedRuntime>>
  | readonly AddressPool[]
  | BuildCacheOptions;

export interface AddressPool {
  readonly base: string;
  readonly size: number;
}

/** Options of networks, by driver. */
export type DriverOptions = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface NamedRuntime {
  readonly path: string;
  /** In front of every command it is given. */
  readonly args: readonly string[];
}

/** `list`, `map`, `pools`, `runtimes`, `ulimits` and `driver-options` may repeat on the command line. */
export type OptionKind =
  | 'string'
  | 'int'
  | 'bool'
  | 'list'
  | 'map'
  | 'pools'
  | 'runtimes'
  | 'ulimits'
  | 'bytes'
  | 'features'
  | 'builder'
  | 'driver-options';

export interface OptionSpec {
  readonly flag: string;
  readonly short?: string;
  /** Its name in daemon.json; absent for options that only a command line has. */
  readonly key?: string;
  readonly kind: OptionKind;
  /** What the help calls the value. */
  readonly value?: string;
  readonly help: string;
  /** Checks one value as it is read. Throws a plain Error whose message says what is wrong with it. */
  readonly check?: (value: string) => void;
  /** Read so that it can be refused by name when it asks for something. */
  readonly absent?: boolean;
}
