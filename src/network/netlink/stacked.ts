/** Links that stand on another: macvlan, ipvlan, VLANs, and dummies that stand on nothing (include/uapi/linux/if_link.h). */
import { attribute, encodeMessage, messageFlags, nested, plainNested, text, u32 } from './message.ts';
import { type Datagram, macBytes } from './route.ts';

const { request, ack, create, exclusive } = messageFlags;
const newLink = 16;
const link = { address: 1, name: 3, mtu: 4, parent: 5, info: 18, nsFd: 28 } as const;
const linkInfo = { kind: 1, data: 2 } as const;
const linkUp = 1;

const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;
const ipvlanModes = { l2: 0, l3: 1, l3s: 2 } as const;
const ipvlanFlags = { bridge: 0, private: 1, vepa: 2 } as const;

export type MacvlanMode = keyof typeof macvlanModes;
export type IpvlanMode = keyof typeof ipvlanModes;
export type IpvlanFlag = keyof typeof ipvlanFlags;

/** What kind of link a container gets on its network's parent. */
export type StackedKind =
  | { readonly driver: 'macvlan'; readonly mode: MacvlanMode }
  | { readonly driver: 'ipvlan'; readonly mode: IpvlanMode; readonly flag: IpvlanFlag };

/** Everything that may be asked for. */
export const stackedModes = {
  macvlan: Object.keys(macvlanModes) as readonly MacvlanMode[],
  ipvlan: Object.keys(ipvlanModes) as readonly IpvlanMode[],
  ipvlanFlag: Object.keys(ipvlanFlags) as readonly IpvlanFlag[],
};

export interface StackedOptions {
  readonly kind: StackedKind;
  readonly parentIndex: number;
  readonly name: string;
  /** Of a macvlan; an ipvlan has its parent's. */
  readonly macAddress: string;
  /** The parent's when absent. */
  readonly mtu?: number;
  readonly namespacePath: string;
}

/** A link inside the namespace on a parent outside of it. */
export function createStacked(options: StackedOptions): Datagram {
  const { kind, parentIndex, name, macAddress, mtu, namespacePath } = options;
  const message = encodeMessage(
    newLink,
    request | ack | create | exclusive,
    Buffer.alloc(16),
    attribute(link.parent, u32(parentIndex)),
    attribute(link.name, text(name)),
    ...(kind.driver === 'macvlan' ? [attribute(link.address, macBytes(macAddress))] : []),
    ...(mtu === undefined ? [] : [attribute(link.mtu, u32(mtu))]),
    plainNested(link.info, attribute(linkInfo.kind, text(kind.driver)), nested(linkInfo.data, ...kindData(kind))),
    // The descriptor is the last thing in the message.
    attribute(link.nsFd, u32(0)),
  );
  return {
    bytes: message,
    acks: 1,
    patches: [{ offset: message.length - 4, kind: 'namespace', value: namespacePath }],
  };
}

function kindData(kind: StackedKind): Buffer[] {
  if (kind.driver === 'macvlan') return [attribute(1, u32(macvlanModes[kind.mode]))];
  return [attribute(1, u16(ipvlanModes[kind.mode])), attribute(2, u16(ipvlanFlags[kind.flag]))];
}

/** A VLAN of a link, up. */
export function createVlan(options: { name: string; parentIndex: number; vlanID: number }): Datagram {
  const data = nested(linkInfo.data, attribute(1, u16(options.vlanID)));
  return upLink(options.name, 'vlan', [attribute(link.parent, u32(options.parentIndex))], data);
}

/** A link that leads nowhere, up: a parent for networks that have none. */
export function createDummy(name: string): Datagram {
  return upLink(name, 'dummy', []);
}

function upLink(name: string, kind: string, attributes: readonly Buffer[], ...data: readonly Buffer[]): Datagram {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(linkUp, 8);
  header.writeUInt32LE(linkUp, 12);
  const bytes = encodeMessage(
    newLink,
    request | ack | create | exclusive,
    header,
    ...attributes,
    attribute(link.name, text(name)),
    plainNested(link.info, attribute(linkInfo.kind, text(kind)), ...data),
  );
  return { bytes, acks: 1, patches: [] };
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}
