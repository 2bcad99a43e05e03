import { execFile } from 'node:child_process';
import { EngineError, ExitError } from '#errdefs';

/** Runs a program of the host to its end; its standard output. @throws ExitError when it fails, with what it said. */
export function runCommand(
  path: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; timeoutMs?: number; signal?: AbortSignal | undefined } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      path,
      args,
      {
        cwd: '/',
        env: options.env ?? {},
        timeout: options.timeoutMs ?? 30_000,
        killSignal: 'SIGKILL',
        maxBuffer: 1 << 20,
        ...(options.signal && { signal: options.signal }),
      },
      (error, stdout, stderr) => {
        if (!error) resolve(stdout);
        else if (options.signal?.aborted) reject(options.signal.reason);
        else if (typeof error.code === 'string') reject(cannotRun(path, error));
        else reject(failed(path, args, { code: error.code, signal: error.signal, stderr }));
      },
    );
  });
}

function cannotRun(path: string, error: Error): EngineError {
  return new EngineError('failed-precondition', `run ${path}: ${error.message}`, { cause: error });
}

function failed(
  path: string,
  args: readonly string[],
  facts: { code: number | undefined; signal: string | undefined; stderr: string },
): ExitError {
  const { code = 1, signal, stderr } = { ...facts, code: facts.code ?? 1 };
  const words = stderr.trim() || (signal ? `ended by ${signal}` : `exit code ${code}`);
  return new ExitError(`run ${path} ${args[0] ?? ''}: ${words}`, { code, stderr, ...(signal && { signal }) });
}
