import { spawn } from 'node:child_process';
import { EngineError, ExitError, isErrno } from '#errdefs';
import { readAll } from '#streams';

/** Runs a firewall tool. @throws ExitError with what it said, `failed-precondition` when it is not installed. */
export async function runTool(name: string, args: readonly string[], input = ''): Promise<string> {
  const child = spawn(name, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const closed = new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 128));
  });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  try {
    const limitBytes = 16 << 20;
    const [code, output, errors] = await Promise.all([
      closed,
      readAll(child.stdout, limitBytes),
      readAll(child.stderr, limitBytes),
    ]);
    if (code === 0) return output.toString();
    const stderr = errors.toString().trim();
    throw new ExitError(`${name} ${args.join(' ')}: ${stderr || `exit code ${code}`}`, { code, stderr });
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw new EngineError('failed-precondition', `${name} is not installed: install it or use --iptables=false`, {
      cause: error,
    });
  }
}
