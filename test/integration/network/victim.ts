/** A daemon that connects two containers, says so and waits to be killed. */
import { openNetworks } from '#network';

const networks = openNetworks({ instance: 'crash', runRoot: process.argv[2]!, firewall: true });
await networks.start();
const bridge = networks.list().find(({ name }) => name === 'bridge')!;
const endpoints: Record<string, unknown> = {};
for (const [id, hostPort] of Object.entries({ living: 8100, dead: 8102 })) {
  await networks.createNamespace(id);
  const ports = [{ containerPort: 80, hostPort, protocol: 'tcp', hostIP: '' }] as const;
  endpoints[id] = await networks.connect(id, { networkID: bridge.id, ports });
}
process.stdout.write(`${JSON.stringify(endpoints)}\n`);
process.stdin.resume();
