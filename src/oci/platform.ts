import { EngineError } from '#errdefs';
import type { Platform } from './types.ts';

const component = /^[A-Za-z0-9_.-]+$/;
const osComponent = /^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?$/;
const knownSystems: ReadonlySet<string> = new Set(
  'aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris wasip1 windows zos'.split(
    ' ',
  ),
);
const knownArchitectures: ReadonlySet<string> = new Set(
  (
    '386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc ppc64 ppc64le ' +
    'riscv riscv64 s390 s390x sparc sparc64 wasm'
  ).split(' '),
);
const nodeArchitectures: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };

/** The platform this process runs on, normalised. */
export function hostPlatform(): Platform {
  const os = process.platform === 'win32' ? 'windows' : process.platform;
  return normalisePlatform({ os, architecture: nodeArchitectures[process.arch] ?? process.arch });
}

/**
 * Reads `os`, `arch`, `os/arch` or `os/arch/variant`; what is left out is the host's. `windows(10.0.1)/amd64` names an OS version.
 * @throws `invalid-argument` in the words Docker's API answers.
 */
export function parsePlatform(specifier: string): Platform {
  if (specifier.length > 256) throw refuse(`${specifier.slice(0, 64)}…`, 'cannot parse platform specifier');
  if (specifier.includes('*')) throw refuse(specifier, 'wildcards not yet supported');
  const parts = specifier.split('/');
  if (parts.length > 3) throw refuse(specifier, 'cannot parse platform specifier');
  const [first, ...rest] = parts as [string, ...string[]];
  for (const part of rest) requireComponent(part, specifier);
  if (rest.length === 0) return singlePart(first, specifier);
  return normalisePlatform({
    ...parseSystem(first, specifier),
    architecture: rest[0]!,
    ...(rest[1] ? { variant: rest[1] } : {}),
  });
}

function singlePart(part: string, specifier: string): Platform {
  const system = parseSystem(part, specifier);
  const host = hostPlatform();
  if (knownSystems.has(normaliseSystem(system.os))) {
    return normalisePlatform({ ...host, ...system });
  }
  const { architecture, variant } = normaliseArchitecture(part, '');
  if (!knownArchitectures.has(architecture)) throw refuse(specifier, 'unknown operating system or architecture');
  return normalisePlatform({ os: host.os, architecture, ...(variant ? { variant } : {}) });
}

function parseSystem(part: string, specifier: string): Pick<Platform, 'os' | 'os.version' | 'os.features'> {
  const match = osComponent.exec(part);
  if (!match) {
    const rule = JSON.stringify(osComponent.source);
    throw new EngineError(
      'invalid-argument',
      `${JSON.stringify(part)} is an invalid OS component of ${JSON.stringify(specifier)}: OSAndVersion specifier component must match ${rule}: invalid argument`,
    );
  }
  const features = (match[3] ?? '').split('+').filter(Boolean).map(percentDecode);
  return {
    os: match[1]!,
    ...(match[2] ? { 'os.version': percentDecode(match[2]) } : {}),
    ...(features.length > 0 ? { 'os.features': features } : {}),
  };
}

function percentDecode(value: string): string {
  return value.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function requireComponent(part: string, specifier: string): void {
  if (component.test(part)) return;
  throw new EngineError(
    'invalid-argument',
    `${JSON.stringify(part)} is an invalid component of ${JSON.stringify(specifier)}: platform specifier component must match ${JSON.stringify(component.source)}: invalid argument`,
  );
}

function refuse(specifier: string, fact: string): EngineError {
  return new EngineError('invalid-argument', `${JSON.stringify(specifier)}: ${fact}: invalid argument`);
}

/** `linux/arm/v7`. An empty platform is `unknown`. */
export function formatPlatform(platform: Platform): string {
  if (platform.os === '') return 'unknown';
  return [platform.os, platform.architecture, platform.variant ?? ''].filter(Boolean).join('/');
}

/** One spelling per platform: `linux/x86_64` is `linux/amd64`, `linux/aarch64/v8` is `linux/arm64`, `linux/arm` is `linux/arm/v7`. */
export function normalisePlatform(platform: Platform): Platform {
  const { architecture, variant } = normaliseArchitecture(platform.architecture, platform.variant ?? '');
  const { variant: _, ...rest } = platform;
  return { ...rest, os: normaliseSystem(platform.os), architecture, ...(variant ? { variant } : {}) };
}

function normaliseSystem(os: string): string {
  const lower = os.toLowerCase();
  return lower === 'macos' ? 'darwin' : lower;
}

function normaliseArchitecture(name: string, level: string): { architecture: string; variant: string } {
  const architecture = name.toLowerCase();
  const variant = level.toLowerCase();
  switch (architecture) {
    case 'i386':
      return { architecture: '386', variant: '' };
    case 'x86_64':
    case 'x86-64':
    case 'amd64':
      return { architecture: 'amd64', variant: variant === 'v1' ? '' : variant };
    case 'aarch64':
    case 'arm64':
      return { architecture: 'arm64', variant: arm64Variant(variant) };
    case 'armhf':
      return { architecture: 'arm', variant: 'v7' };
    case 'armel':
      return { architecture: 'arm', variant: 'v6' };
    case 'arm':
      return { architecture, variant: armVariant(variant) };
    default:
      return { architecture, variant };
  }
}

function arm64Variant(variant: string): string {
  if (['8', 'v8', 'v8.0'].includes(variant)) return '';
  if (['9', '9.0', 'v9.0'].includes(variant)) return 'v9';
  return variant;
}

function armVariant(variant: string): string {
  if (variant === '' || variant === '7') return 'v7';
  return ['5', '6', '8'].includes(variant) ? `v${variant}` : variant;
}
