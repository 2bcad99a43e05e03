/** Links, addresses and routes over NETLINK_ROUTE (include/uapi/linux/rtnetlink.h, if_link.h, if_addr.h). */
import {
  type Address,
  addressBytes,
  addressFrom,
  type Family,
  lastOf,
  type Subnet,
  subnetOf,
  widthOf,
} from '../address.ts';
import {
  attribute,
  decodeAttributes,
  decodeMessages,
  decodeText,
  encodeMessage,
  messageFlags,
  nested,
  plainNested,
  text,
  u32,
} from './message.ts';

const { request, ack, create, exclusive, replace, dump } = messageFlags;
const newLink = 16;
const delLink = 17;
const getLink = 18;
const setLink = 19;
const newAddress = 20;
const delAddress = 21;
const getAddress = 22;
const newRoute = 24;
const getRoute = 26;
const delNeighbour = 29;

const familyNumbers: Readonly<Record<Family, number>> = { 4: 2, 6: 10 };
const bridgeFamily = 7;
const linkUp = 1;

const link = { address: 1, name: 3, mtu: 4, master: 10, protocolInfo: 12, info: 18, alias: 20, nsFd: 28 } as const;
const linkInfo = { kind: 1, data: 2 } as const;
const vethPeer = 1;
const portAttribute = { hairpin: 4, isolated: 33 } as const;
const addressAttribute = { address: 1, local: 2, broadcast: 4 } as const;
const route = { destination: 1, outLink: 4, gateway: 5, table: 15 } as const;
const mainTable = 254;

/** A datagram with the fields the sender fills in late: the helper knows descriptors and link numbers, not we. */
export interface Datagram {
  readonly bytes: Buffer;
  readonly acks: number;
  readonly patches: readonly Patch[];
}

export interface Patch {
  readonly offset: number;
  readonly kind: 'link-index' | 'namespace';
  /** A link's name, or the path a namespace is held at. */
  readonly value: string;
}

function linkHeader(index: number, flags: number, change: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(flags, 8);
  bytes.writeUInt32LE(change, 12);
  return bytes;
}

/** `alias` is what `ip link` shows beside the name; the kernel takes it only for a link that is there. */
export function createBridge(options: { name: string; macAddress: string; mtu: number; alias: string }): Datagram {
  const name = attribute(link.name, text(options.name));
  const made = encodeMessage(
    newLink,
    request | ack | create | exclusive,
    linkHeader(0, 0, 0),
    name,
    attribute(link.address, macBytes(options.macAddress)),
    attribute(link.mtu, u32(options.mtu)),
    plainNested(link.info, attribute(linkInfo.kind, text('bridge'))),
  );
  const marked = setAlias(options.name, options.alias);
  return { bytes: Buffer.concat([made, marked.bytes]), acks: 2, patches: [] };
}

/** What `ip link` shows beside a link's name. */
export function setAlias(name: string, alias: string): Datagram {
  const message = encodeMessage(
    setLink,
    request | ack,
    linkHeader(0, 0, 0),
    attribute(link.name, text(name)),
    attribute(link.alias, text(alias)),
  );
  return { bytes: message, acks: 1, patches: [] };
}

export interface VethOptions {
  readonly hostName: string;
  readonly peerName: string;
  readonly macAddress: string;
  readonly mtu: number;
  readonly bridgeIndex: number;
  readonly namespacePath: string;
}

/**
 * A veth pair whose host end is up and a port of the bridge, and whose peer is born inside the namespace: the host never
 * shows it.
 */
export function createVeth(options: VethOptions): Datagram {
  const namespace = attribute(link.nsFd, u32(0));
  const peer = [
    linkHeader(0, 0, 0),
    attribute(link.name, text(options.peerName)),
    attribute(link.address, macBytes(options.macAddress)),
    attribute(link.mtu, u32(options.mtu)),
    namespace,
  ];
  const message = encodeMessage(
    newLink,
    request | ack | create | exclusive,
    linkHeader(0, linkUp, linkUp),
    attribute(link.name, text(options.hostName)),
    attribute(link.mtu, u32(options.mtu)),
    attribute(link.master, u32(options.bridgeIndex)),
    plainNested(
      link.info,
      attribute(linkInfo.kind, text('veth')),
      plainNested(linkInfo.data, plainNested(vethPeer, ...peer)),
    ),
  );
  // The descriptor is the last thing in the message.
  return {
    bytes: message,
    acks: 1,
    patches: [{ offset: message.length - 4, kind: 'namespace', value: options.namespacePath }],
  };
}

/**
 * Lets a port of a bridge have its own frames back. Where bridged traffic is filtered as IP traffic (`bridge-nf-call-iptables`), a container that
 * asks for its own published port needs that.
 */
export function setHairpin(linkName: string): Datagram {
  return setBridgePort(linkName, portAttribute.hairpin);
}

/** A port that can't speak to other isolated ones of its bridge. */
export function setIsolated(linkName: string): Datagram {
  return setBridgePort(linkName, portAttribute.isolated);
}

function setBridgePort(linkName: string, which: number): Datagram {
  const header = linkHeader(0, 0, 0);
  header[0] = bridgeFamily;
  const message = encodeMessage(
    setLink,
    request | ack,
    header,
    nested(link.protocolInfo, attribute(which, Buffer.from([1]))),
  );
  return { bytes: message, acks: 1, patches: [{ offset: headerBytes + 4, kind: 'link-index', value: linkName }] };
}

/** Address, up, default route: what a new link needs, as one datagram. All of one family. */
export function configureLink(options: {
  readonly name: string;
  readonly address?: Address;
  readonly prefixLength?: number;
  /** Where the default route leads to; a family: to everybody on the link. */
  readonly gateway?: Address | Family;
  /** In the place of a default route that is there. */
  readonly replaceRoute?: boolean;
}): Datagram {
  // Each message, and where in it the link's index goes.
  const up: [Buffer, number] = [encodeMessage(setLink, request | ack, linkHeader(0, linkUp, linkUp)), headerBytes + 4];
  const messages = [up];
  if (options.address !== undefined) {
    const { address, prefixLength = widthOf(address.family) } = options;
    const added: [Buffer, number] = [newAddressOf(address, prefixLength), headerBytes + 4];
    // A link gets the route to its IPv6 neighbours when it has the address while it is up.
    if (address.family === 4) messages.unshift(added);
    else messages.push(added);
  }
  if (options.gateway !== undefined) {
    const message = addDefaultRoute(options.gateway, options.replaceRoute ?? false);
    messages.push([message, message.length - 4]);
  }
  let start = 0;
  const patches = messages.map(([message, offset]): Patch => {
    const patch: Patch = { offset: start + offset, kind: 'link-index', value: options.name };
    start += message.length;
    return patch;
  });
  return { bytes: Buffer.concat(messages.map(([message]) => message)), acks: messages.length, patches };
}

const headerBytes = 16;

function addressHeader(family: number, index: number, prefixLength: number, flags = 0): Buffer {
  const header = Buffer.from([family, prefixLength, flags, 0, 0, 0, 0, 0]);
  header.writeUInt32LE(index, 4);
  return header;
}

/** One more address of a link that is there. */
export function addAddress(name: string, address: Address, prefixLength: number): Datagram {
  const bytes = newAddressOf(address, prefixLength);
  return { bytes, acks: 1, patches: [{ offset: headerBytes + 4, kind: 'link-index', value: name }] };
}

/** An IPv6 address is used at once: nobody else on a bridge of ours has it (`nodad`). */
function newAddressOf(address: Address, prefixLength: number): Buffer {
  const noDuplicateDetection = 2;
  const { family } = address;
  const bytes = addressBytes(address);
  const broadcast = family === 4 && prefixLength <= 30 ? lastOf(subnetOf(address, prefixLength)) : undefined;
  return encodeMessage(
    newAddress,
    request | ack | create | exclusive,
    addressHeader(familyNumbers[family], 0, prefixLength, family === 6 ? noDuplicateDetection : 0),
    attribute(addressAttribute.local, bytes),
    attribute(addressAttribute.address, bytes),
    ...(broadcast === undefined ? [] : [attribute(addressAttribute.broadcast, addressBytes(broadcast))]),
  );
}

export function deleteAddress(linkIndex: number, address: Address, subnet: Subnet): Datagram {
  const message = encodeMessage(
    delAddress,
    request | ack,
    addressHeader(familyNumbers[address.family], linkIndex, subnet.prefixLength),
    attribute(addressAttribute.local, addressBytes(address)),
  );
  return { bytes: message, acks: 1, patches: [] };
}

/** The link's index is the last thing in the message. */
function addDefaultRoute(gateway: Address | Family, replaces: boolean): Buffer {
  const boot = 3;
  const universe = 0;
  const onLink = 253;
  const [family, scope] = typeof gateway === 'object' ? [gateway.family, universe] : [gateway, onLink];
  const unicast = 1;
  return encodeMessage(
    newRoute,
    request | ack | create | (replaces ? replace : exclusive),
    Buffer.from([familyNumbers[family], 0, 0, 0, mainTable, boot, scope, unicast, 0, 0, 0, 0]),
    ...(typeof gateway === 'object' ? [attribute(route.gateway, addressBytes(gateway))] : []),
    attribute(route.outLink, u32(0)),
  );
}

export function deleteLink(name: string): Datagram {
  const message = encodeMessage(delLink, request | ack, linkHeader(0, 0, 0), attribute(link.name, text(name)));
  return { bytes: message, acks: 1, patches: [] };
}

/** Forgets what the host remembers of a neighbour: its next holder may have another hardware address. */
export function deleteNeighbour(bridgeIndex: number, address: Address): Datagram {
  const header = Buffer.alloc(12);
  header[0] = familyNumbers[address.family];
  header.writeInt32LE(bridgeIndex, 4);
  const message = encodeMessage(delNeighbour, request | ack, header, attribute(1, addressBytes(address)));
  return { bytes: message, acks: 1, patches: [] };
}

export interface LinkInfo {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly masterIndex: number;
  readonly kind: string;
  readonly mtu: number;
  readonly alias: string;
}

export function listLinks(): Datagram {
  return { bytes: encodeMessage(getLink, request | dump, linkHeader(0, 0, 0)), acks: 1, patches: [] };
}

export function decodeLinks(answer: Buffer): LinkInfo[] {
  return decodeMessages(answer)
    .filter(({ type }) => type === newLink)
    .map(({ payload }) => {
      const attributes = decodeAttributes(payload.subarray(16));
      const info = decodeAttributes(attributes.get(link.info) ?? Buffer.alloc(0));
      return {
        index: payload.readInt32LE(4),
        name: decodeText(attributes.get(link.name) ?? Buffer.alloc(0)),
        up: (payload.readUInt32LE(8) & linkUp) !== 0,
        masterIndex: attributes.get(link.master)?.readUInt32LE(0) ?? 0,
        kind: decodeText(info.get(linkInfo.kind) ?? Buffer.alloc(0)),
        mtu: attributes.get(link.mtu)?.readUInt32LE(0) ?? 0,
        alias: decodeText(attributes.get(link.alias) ?? Buffer.alloc(0)),
      };
    });
}

export interface LinkAddress {
  readonly linkIndex: number;
  readonly address: Address;
  readonly prefixLength: number;
}

export function listAddresses(family: Family): Datagram {
  const header = addressHeader(familyNumbers[family], 0, 0);
  return { bytes: encodeMessage(getAddress, request | dump, header), acks: 1, patches: [] };
}

export function decodeAddresses(answer: Buffer): LinkAddress[] {
  return decodeMessages(answer).flatMap(({ type, payload }) => {
    const attributes = decodeAttributes(payload.subarray(8));
    const local = attributes.get(addressAttribute.local) ?? attributes.get(addressAttribute.address);
    if (type !== newAddress || !isAddress(local)) return [];
    return [{ linkIndex: payload.readUInt32LE(4), address: addressFrom(local), prefixLength: payload[1]! }];
  });
}

export interface RouteInfo {
  readonly destination: Address;
  readonly prefixLength: number;
  readonly linkIndex: number;
}

export function listRoutes(family: Family): Datagram {
  const header = Buffer.alloc(12);
  header[0] = familyNumbers[family];
  return { bytes: encodeMessage(getRoute, request | dump, header), acks: 1, patches: [] };
}

/** Routes of the main table with a destination: default routes overlap nothing. */
export function decodeRoutes(answer: Buffer): RouteInfo[] {
  return decodeMessages(answer).flatMap(({ type, payload }) => {
    const attributes = decodeAttributes(payload.subarray(12));
    const table = attributes.get(route.table)?.readUInt32LE(0) ?? payload[4];
    const destination = attributes.get(route.destination);
    if (type !== newRoute || table !== mainTable || !isAddress(destination)) return [];
    return [
      {
        destination: addressFrom(destination),
        prefixLength: payload[1]!,
        linkIndex: attributes.get(route.outLink)?.readUInt32LE(0) ?? 0,
      },
    ];
  });
}

function isAddress(bytes: Buffer | undefined): bytes is Buffer {
  return bytes?.length === 4 || bytes?.length === 16;
}

export function macBytes(macAddress: string): Buffer {
  return Buffer.from(macAddress.replaceAll(':', ''), 'hex');
}
