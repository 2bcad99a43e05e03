import type { Command } from './command.ts';
import { attachCommand } from './commands/attach.ts';
import { buildCommand } from './commands/build.ts';
import { buildDebugCommand } from './commands/build-debug.ts';
import {
  killCommand,
  pauseCommand,
  renameCommand,
  restartCommand,
  startCommand,
  unpauseCommand,
  waitCommand,
} from './commands/container-states.ts';
import { eventsCommand, portCommand, statsCommand, topCommand } from './commands/container-views.ts';
import { commitCommand, execCommand, logsCommand, psCommand, rmCommand, stopCommand } from './commands/containers.ts';
import { copyCommand } from './commands/copy.ts';
import { diffCommand } from './commands/diff.ts';
import { catCommand, lsCommand } from './commands/image-files.ts';
import { imageVerifyCommand } from './commands/image-verify.ts';
import { historyCommand, imagesCommand, rmiCommand, tagCommand } from './commands/images.ts';
import { inspectCommand } from './commands/inspect.ts';
import { loginCommand, logoutCommand } from './commands/login.ts';
import {
  indexCreateCommand,
  manifestAnnotateCommand,
  manifestCreateCommand,
  manifestInspectCommand,
  manifestPushCommand,
  manifestRmCommand,
} from './commands/manifest.ts';
import {
  networkConnectCommand,
  networkCreateCommand,
  networkDisconnectCommand,
  networkInspectCommand,
  networkListCommand,
  networkRemoveCommand,
} from './commands/networks.ts';
import {
  containerPruneCommand,
  imagePruneCommand,
  networkPruneCommand,
  systemPruneCommand,
  volumePruneCommand,
} from './commands/prune.ts';
import {
  registryDeletedCommand,
  registryDescribeCommand,
  registryRestoreCommand,
  registryScrubCommand,
  registryStarCommand,
} from './commands/registry-hub.ts';
import { registryServeCommand } from './commands/registry-serve.ts';
import { deleteCommand, searchCommand, tagsCommand } from './commands/remote.ts';
import { createCommand, runCommand } from './commands/run.ts';
import { imageDigestsCommand, saveCommand } from './commands/save.ts';
import { infoCommand, versionCommand } from './commands/system.ts';
import { systemDfCommand } from './commands/system-df.ts';
import { importCommand, loadCommand, pullCommand, pushCommand } from './commands/transfer.ts';
import { trashEmptyCommand, trashListCommand, undoCommand } from './commands/trash.ts';
import { updateCommand } from './commands/update.ts';
import {
  volumeCreateCommand,
  volumeInspectCommand,
  volumeListCommand,
  volumeRemoveCommand,
} from './commands/volumes.ts';

/** Every command, in the order of the help. */
export const commandTable: readonly Command[] = [
  runCommand,
  createCommand,
  startCommand,
  execCommand,
  attachCommand,
  psCommand,
  buildCommand,
  buildDebugCommand,
  pullCommand,
  pushCommand,
  imagesCommand,
  historyCommand,
  lsCommand,
  catCommand,
  diffCommand,
  imageVerifyCommand,
  tagCommand,
  rmiCommand,
  saveCommand,
  imageDigestsCommand,
  loadCommand,
  importCommand,
  commitCommand,
  inspectCommand,
  logsCommand,
  topCommand,
  statsCommand,
  portCommand,
  waitCommand,
  stopCommand,
  restartCommand,
  killCommand,
  pauseCommand,
  unpauseCommand,
  renameCommand,
  updateCommand,
  rmCommand,
  containerPruneCommand,
  imagePruneCommand,
  networkListCommand,
  networkCreateCommand,
  networkInspectCommand,
  networkConnectCommand,
  networkDisconnectCommand,
  networkRemoveCommand,
  networkPruneCommand,
  volumeListCommand,
  volumeCreateCommand,
  volumeInspectCommand,
  volumeRemoveCommand,
  volumePruneCommand,
  tagsCommand,
  searchCommand,
  copyCommand,
  deleteCommand,
  indexCreateCommand,
  manifestCreateCommand,
  manifestAnnotateCommand,
  manifestInspectCommand,
  manifestPushCommand,
  manifestRmCommand,
  loginCommand,
  logoutCommand,
  systemDfCommand,
  systemPruneCommand,
  undoCommand,
  trashListCommand,
  trashEmptyCommand,
  registryServeCommand,
  registryDescribeCommand,
  registryStarCommand,
  registryDeletedCommand,
  registryRestoreCommand,
  registryScrubCommand,
  eventsCommand,
  versionCommand,
  infoCommand,
];

/** What `wherry GROUP` can be followed by, by that word: its first name in the group where it has several. */
export function groupCommands(group: string): ReadonlyMap<string, Command> {
  const members = commandTable.flatMap((command) => {
    const name = [command.name, ...(command.aliases ?? [])].find((each) => each.startsWith(`${group} `));
    return name === undefined ? [] : [[name.slice(group.length + 1), command] as const];
  });
  return new Map(members.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The command a line means, also by its long form (`image ls`), and what is left of the line. */
export function findCommand(words: readonly string[]): { command: Command; rest: readonly string[] } | undefined {
  for (const count of [2, 1]) {
    const name = words.slice(0, count).join(' ');
    const command = commandTable.find((candidate) => candidate.name === name || candidate.aliases?.includes(name));
    if (command && words.length >= count) return { command, rest: words.slice(count) };
  }
  return undefined;
}
