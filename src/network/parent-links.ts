/** The link of the machine that a macvlan or ipvlan network stands on: there already, or made and marked as ours. */
import { EngineError } from '#errdefs';
import { listHostLinks } from './bridge.ts';
import type { NamespaceHelper } from './helper.ts';
import { createDummy, createVlan, type Datagram, type LinkInfo, setAlias } from './netlink/index.ts';
import { Program } from './program.ts';

export interface ParentLink {
  readonly name: string;
  readonly index: number;
  /** Made for the network, and gone with it. */
  readonly own: boolean;
}

export interface ParentWish {
  readonly driver: 'macvlan' | 'ipvlan';
  /** Empty: a dummy of the network's own. */
  readonly parent: string;
  readonly networkID: string;
  /** Marks links of ours, as bridges are marked. */
  readonly owner: string;
}

/** The name a dummy has, as in dockerd. */
function dummyName({ driver, networkID }: Pick<ParentWish, 'driver' | 'networkID'>): string {
  return `${driver === 'macvlan' ? 'dm' : 'di'}-${networkID.slice(0, 12)}`;
}

/** @throws `internal` in dockerd's words for what can be no parent, `failed-precondition` for a kind of link the kernel lacks. */
export async function ensureParent(helper: NamespaceHelper, wish: ParentWish): Promise<ParentLink> {
  const { driver, parent, owner } = wish;
  if (parent === 'lo') throw new EngineError('internal', `loopback interface is not a valid ${driver} parent link`);
  const name = parent === '' ? dummyName(wish) : parent;
  const found = await find(helper, name);
  if (found) return { name, index: found.index, own: found.alias === owner };
  const kind = parent === '' ? 'dummy' : 'vlan';
  const make = parent === '' ? createDummy(name) : await vlanOf(helper, parent);
  const program = new Program()
    .send(`failed to create ${name} ${kind} link`, make)
    .send(`mark ${name}`, setAlias(name, owner));
  await helper.run(program);
  return { name, index: (await find(helper, name))!.index, own: true };
}

async function vlanOf(helper: NamespaceHelper, name: string): Promise<Datagram> {
  const refuse = (message: string) => new EngineError('internal', message);
  const parts = name.split('.');
  const [parent = '', id = ''] = parts;
  if (parts.length === 1) throw refuse(`invalid subinterface vlan name ${name}, example formatting is eth0.10`);
  if (parts.length > 2) {
    const form = 'required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10';
    throw refuse(`${form}, instead received ${name}`);
  }
  if (!/^[+-]?\d+$/.test(id)) throw refuse(`unable to parse a valid vlan id from: ${id} (ex. eth0.10 for vlan 10)`);
  const found = await find(helper, parent);
  if (!found) throw refuse(`-o parent interface was not found on the host: ${parent}`);
  const vlanID = Number(id);
  if (vlanID < 1 || vlanID > 4094) throw refuse(`vlan id must be between 1-4094, received: ${vlanID}`);
  return createVlan({ name, parentIndex: found.index, vlanID });
}

async function find(helper: NamespaceHelper, name: string): Promise<LinkInfo | undefined> {
  return (await listHostLinks(helper)).find((link) => link.name === name);
}
