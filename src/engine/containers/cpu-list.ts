import { readFileSync } from 'node:fs';
import { EngineError } from '#errdefs';

const maxIndex = 8192;

/** `0-3,7` as numbers; undefined when it is not such a list. */
export function parseCpuList(text: string): number[] | undefined {
  const numbers: number[] = [];
  for (const part of text.split(',')) {
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part) ?? [];
    if (first === undefined || Number(last) < Number(first) || Number(last) > maxIndex) return undefined;
    for (let index = Number(first); index <= Number(last); index++) numbers.push(index);
  }
  return numbers;
}

/** @throws `invalid-argument` in Docker's words for CPUs or memory nodes that are not written rightly or not there. */
export function checkCpuset(host: { CpusetCpus?: string; CpusetMems?: string }): void {
  checkList(host.CpusetCpus ?? '', 'cpuset cpus', 'CPUs', '/sys/devices/system/cpu/online');
  checkList(host.CpusetMems ?? '', 'cpuset mems', 'memory nodes', '/sys/devices/system/node/online');
}

function checkList(wanted: string, field: string, subject: string, onlinePath: string): void {
  if (wanted === '') return;
  const numbers = parseCpuList(wanted);
  if (!numbers) {
    const isTooLarge = wanted.split(/[,-]/).some((text) => /^\d+$/.test(text) && Number(text) > maxIndex);
    const fault = isTooLarge ? `value of out range, maximum is ${maxIndex}` : `invalid format: ${wanted}`;
    throw new EngineError('invalid-argument', `Invalid value ${wanted} for ${field}: ${fault}`);
  }
  const online = readFileSync(onlinePath).toString().trim();
  const available = new Set(parseCpuList(online));
  if (numbers.some((number) => !available.has(number))) {
    throw new EngineError(
      'invalid-argument',
      `Requested ${subject} are not available - requested ${wanted}, available: ${online}`,
    );
  }
}
