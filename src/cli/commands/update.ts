import type { ContainerUpdateConfig } from '#api-types';
import { EngineError } from '#errdefs';
import type { Command } from '../command.ts';
import type { FlagSpec, Flags } from '../flags.ts';
import { forEachName } from '../names.ts';
import { restartPolicy } from './run-lifecycle.ts';

const limits: readonly FlagSpec[] = [
  { name: 'blkio-weight', type: 'int', help: 'Block IO (relative weight), between 10 and 1000, or 0 to disable' },
  { name: 'cpu-period', type: 'int', help: 'Limit CPU CFS (Completely Fair Scheduler) period' },
  { name: 'cpu-quota', type: 'int', help: 'Limit CPU CFS (Completely Fair Scheduler) quota' },
  { name: 'cpu-rt-period', type: 'int', help: 'Limit the CPU real-time period in microseconds' },
  { name: 'cpu-rt-runtime', type: 'int', help: 'Limit the CPU real-time runtime in microseconds' },
  { name: 'cpu-shares', short: 'c', type: 'int', help: 'CPU shares (relative weight)' },
  { name: 'cpus', type: 'decimal', help: 'Number of CPUs' },
  { name: 'cpuset-cpus', type: 'string', help: 'CPUs in which to allow execution (0-3, 0,1)' },
  { name: 'cpuset-mems', type: 'string', help: 'MEMs in which to allow execution (0-3, 0,1)' },
  { name: 'memory', short: 'm', type: 'bytes', help: 'Memory limit' },
  { name: 'memory-reservation', type: 'bytes', help: 'Memory soft limit' },
  { name: 'memory-swap', type: 'bytes', help: 'Swap limit equal to memory plus swap: -1 to enable unlimited swap' },
  { name: 'pids-limit', type: 'int', help: 'Tune container pids limit (set -1 for unlimited)' },
];

export const updateCommand: Command = {
  name: 'update',
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  summary: 'Update configuration of one or more containers',
  aliases: ['container update'],
  minArgs: 1,
  flags: [...limits, { name: 'restart', type: 'string', help: 'Restart policy to apply when a container exits' }],
  async run(context) {
    const { flags, engine, terminal } = context;
    if (![...limits.map(({ name }) => name), 'restart'].some((name) => flags.has(name)))
      throw new EngineError('invalid-argument', 'you must provide one or more flags when using this command');
    const config = updateConfig(flags);
    return await forEachName(context, async (name) => {
      const { Warnings } = await engine().containers.update(name, config);
      for (const warning of Warnings ?? []) terminal.stderr.write(`${warning}\n`);
    });
  },
};

function updateConfig(flags: Flags): ContainerUpdateConfig {
  const number = (name: string, key: keyof ContainerUpdateConfig) =>
    flags.number(name) === undefined ? {} : { [key]: flags.number(name) };
  const text = (name: string, key: keyof ContainerUpdateConfig) =>
    flags.text(name) === undefined ? {} : { [key]: flags.text(name) };
  return {
    ...number('blkio-weight', 'BlkioWeight'),
    ...number('cpu-period', 'CpuPeriod'),
    ...number('cpu-quota', 'CpuQuota'),
    ...number('cpu-rt-period', 'CpuRealtimePeriod'),
    ...number('cpu-rt-runtime', 'CpuRealtimeRuntime'),
    ...number('cpu-shares', 'CpuShares'),
    ...text('cpuset-cpus', 'CpusetCpus'),
    ...text('cpuset-mems', 'CpusetMems'),
    ...number('memory', 'Memory'),
    ...number('memory-reservation', 'MemoryReservation'),
    ...number('memory-swap', 'MemorySwap'),
    ...number('pids-limit', 'PidsLimit'),
    ...(flags.number('cpus') === undefined ? {} : { NanoCpus: Math.round(flags.number('cpus')! * 1e9) }),
    ...(flags.has('restart') ? { RestartPolicy: restartPolicy(flags) } : {}),
  };
}
