import type { CopyProgress } from '#remote';
import type { Command } from '../command.ts';
import { progressPainter } from '../progress.ts';
import { insecureFlag, withRegistry } from '../registry-call.ts';
import { shortID } from '../table.ts';

const drawEveryMs = 100;

export const copyCommand: Command = {
  name: 'copy',
  usage: '[OPTIONS] SOURCE TARGET',
  summary: 'Copy an image between registries, image layouts and archives (no daemon needed)',
  minArgs: 2,
  maxArgs: 2,
  flags: [
    insecureFlag,
    {
      name: 'platform',
      type: 'list',
      value: 'platform',
      help: 'Copy the image for this platform alone (repeatable); without it everything, byte for byte',
    },
    {
      name: 'max-inflated-size',
      type: 'bytes',
      help: 'What a compressed archive may inflate to (default 100 times its size, at least 1 GiB)',
    },
    { name: 'quiet', short: 'q', type: 'toggle', help: 'Only print the digest of the copy' },
  ],
  async run(context) {
    const { args, flags, terminal, signal } = context;
    const [from = '', to = ''] = args;
    const { copyPlaces, parsePlace } = await import('#remote');
    const { parsePlatform } = await import('#oci');
    // A place without a registry asks none.
    const names = [from, to].map(parsePlace).map((place) => (place.kind === 'registry' ? place.name : 'none'));
    return await withRegistry(context, names, async ({ calls }) => {
      const copied = await copyPlaces(
        { place: from, call: calls[0]! },
        { place: to, call: calls[1]! },
        {
          platforms: flags.list('platform').map(parsePlatform),
          maxInflatedBytes: flags.number('max-inflated-size'),
          onProgress: flags.on('quiet') ? () => {} : drawCopy(terminal.stderr),
          signal,
        },
      );
      if (copied.isNewIndex && !flags.on('quiet'))
        terminal.stderr.write('A part of the index was copied: its digest differs from the original\n');
      terminal.stdout.write(`${copied.top.digest}\n`);
      return 0;
    });
  },
};

const words: Readonly<Record<Exclude<CopyProgress['state'], 'copying'>, string>> = {
  copied: 'Copied',
  exists: 'Already exists',
  mounted: 'Mounted',
  skipped: 'Skipped foreign layer',
};

function drawCopy(out: NodeJS.WriteStream): (progress: CopyProgress) => void {
  const draw = progressPainter(out);
  let drawnMs = 0;
  return ({ digest, state, sentBytes, sizeBytes }) => {
    const id = shortID(digest);
    if (state !== 'copying') return draw({ id, status: words[state] });
    if (Date.now() - drawnMs < drawEveryMs) return;
    drawnMs = Date.now();
    draw({ id, status: 'Copying', progress: '', progressDetail: { current: sentBytes, total: sizeBytes } });
  };
}
