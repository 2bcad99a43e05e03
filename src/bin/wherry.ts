/** Main of the client. */
import { runCli } from '#cli';

// Bundled as CommonJS, which knows no `await` out here.
void runCli(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
