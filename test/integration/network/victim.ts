/** A daemon that connects two containers, one of them to a second network too, says what is on record and waits to be killed. */
import { openNetworks } from '#network';

const networks = openNetworks({ instance: 'crash', engineID: 'an engine', runRoot: process.argv[2]!, firewall: true });
await networks.start();
const bridge = networks.list().find(({ name }) => name === 'bridge')!;
const endpoints: Record<string, unknown> = {};
for (const [id, hostPort] of Object.entries({ living: 8100, dead: 8102 })) {
  await networks.createNamespace(id);
  const ports = [{ containerPort: 80, hostPort, protocol: 'tcp', hostIP: '' }] as const;
  endpoints[id] = await networks.connect(id, { networkID: bridge.id, ports });
}
const spec = {
  id: 'feed'.repeat(16),
  name: 'second',
  createdAt: new Date(0),
  internal: false,
  icc: true,
  masquerade: true,
};
await networks.add({ ...spec, subnet: '10.213.1.0/24', hostBindingIP: '' });
await networks.connect('living', { networkID: spec.id, ports: [] });
process.stdout.write(`${JSON.stringify(endpoints)}\n`);
process.stdin.resume();
