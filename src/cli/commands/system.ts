import { messageOf } from '#errdefs';
import type { Command } from '../command.ts';
import { humanSize } from '../table.ts';
import { version } from '../version.ts';

const goArchitecture = process.arch === 'x64' ? 'amd64' : process.arch;

export const versionCommand: Command = {
  name: 'version',
  usage: '[OPTIONS]',
  summary: 'Show the Wherry version information',
  minArgs: 0,
  maxArgs: 0,
  flags: [],
  async run({ engine, terminal }) {
    const out = terminal.stdout;
    out.write(
      `Client:\n${fields([
        ['Version', version],
        ['API version', '1.51'],
        ['Node version', process.version],
        ['OS/Arch', `linux/${goArchitecture}`],
      ])}`,
    );
    try {
      const server = await engine().system.version();
      out.write(`\nServer: ${server.Platform.Name}\n`);
      for (const component of server.Components) {
        const details = Object.entries(component.Details ?? {}).map(([name, value]) => [name, value] as const);
        out.write(` ${component.Name}:\n${fields([['Version', component.Version], ...details], '  ')}`);
      }
      return 0;
    } catch (error) {
      terminal.stderr.write(`${messageOf(error)}\n`);
      return 1;
    }
  },
};

function fields(rows: readonly (readonly [string, string])[], indent = ' '): string {
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.map(([name, value]) => `${indent}${`${name}:`.padEnd(width)}${value}\n`).join('');
}

export const infoCommand: Command = {
  name: 'info',
  usage: '[OPTIONS]',
  summary: 'Display system-wide information',
  minArgs: 0,
  maxArgs: 0,
  flags: [],
  async run({ engine, terminal }) {
    const info = await engine().system.info();
    const rows: [string, string | number | boolean][] = [
      ['Containers', info.Containers],
      [' Running', info.ContainersRunning],
      [' Paused', info.ContainersPaused],
      [' Stopped', info.ContainersStopped],
      ['Images', info.Images],
      ['Server Version', info.ServerVersion],
      ['Storage Driver', info.Driver],
      ...info.DriverStatus.map(([name, value]): [string, string] => [` ${name}`, value]),
      ['Logging Driver', info.LoggingDriver],
      ['Cgroup Driver', info.CgroupDriver],
      ['Cgroup Version', info.CgroupVersion ?? ''],
      ['Runtimes', Object.keys(info.Runtimes).join(' ')],
      ['Default Runtime', info.DefaultRuntime],
      ['Security Options', info.SecurityOptions.join(' ')],
      ['Kernel Version', info.KernelVersion],
      ['Operating System', info.OperatingSystem],
      ['OSType', info.OSType],
      ['Architecture', info.Architecture],
      ['CPUs', info.NCPU],
      ['Total Memory', humanSize(info.MemTotal, 4)],
      ['Name', info.Name],
      ['ID', info.ID],
      ['Data Root', info.DockerRootDir],
      ['Debug Mode', info.Debug],
      ['Live Restore Enabled', info.LiveRestoreEnabled],
    ];
    terminal.stdout.write(`Server:\n${rows.map(([name, value]) => ` ${name}: ${value}\n`).join('')}`);
    for (const warning of info.Warnings ?? []) terminal.stderr.write(`${warning}\n`);
    return 0;
  },
};
