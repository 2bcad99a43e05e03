/** The public conformance suite of distribution-spec v1.1, where its program is: `WHERRY_CONFORMANCE` names it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import bcrypt from 'bcryptjs';
import { type RegistryConfig, serveRegistry } from '#registry-server';
import { temporaryFolder } from '#testing';

const program = process.env['WHERRY_CONFORMANCE'];
const everything = { repositories: ['*'], users: ['*'], actions: ['pull', 'push', 'delete'] } as const;

/** All that the suite can ask for, but for manifests whose parts are not there: they are refused here. */
const settings = {
  OCI_TLS: 'disabled',
  OCI_API_BLOBS_DIGEST_HEADER: 'true',
  OCI_API_BLOBS_UPLOAD_CANCEL: 'true',
  OCI_API_MANIFESTS_DIGEST_HEADER: 'true',
  OCI_API_MANIFESTS_TAG_PARAM: 'true',
};

function runSuite(folder: string, more: Readonly<Record<string, string>>): Promise<string> {
  const env = { ...process.env, ...settings, OCI_RESULTS_DIR: join(folder, 'results'), ...more };
  return new Promise((resolve) => {
    execFile(program!, [], { cwd: folder, env, timeout: 120_000, maxBuffer: 16 << 20 }, (_error, stdout) =>
      resolve(stdout),
    );
  });
}

for (const accounts of ['without accounts', 'with accounts and tokens']) {
  test(`the conformance suite passes, ${accounts}`, async (t) => {
    if (program === undefined) return t.skip('WHERRY_CONFORMANCE does not name the suite');
    await using folder = await temporaryFolder();
    const htpasswd = join(folder.path, 'htpasswd');
    await writeFile(htpasswd, `ann:${bcrypt.hashSync('secret', 4)}\n`);
    const access = { htpasswd, rules: [everything], useTokens: true, service: 'test', tokenSeconds: 60 };
    const isGuarded = accounts !== 'without accounts';
    const config: RegistryConfig = isGuarded ? { access } : {};
    await using server = await serveRegistry({ root: join(folder.path, 'data'), addr: '127.0.0.1:0', config });
    const output = await runSuite(folder.path, {
      OCI_REGISTRY: server.address,
      ...(isGuarded ? { OCI_USERNAME: 'ann', OCI_PASSWORD: 'secret' } : {}),
    });
    const counts = Object.fromEntries(
      [...output.matchAll(/^ {2}(\w+)\.+: +(\d+)$/gm)].map(([, name, count]) => [name, Number(count)]),
    );
    assert.deepEqual([counts['FAIL'], counts['Error'], counts['Skip']], [0, 0, 0], output);
    assert.ok(counts['Pass']! > 900, output);
  });
}
