/**
 * The little of nf_tables that published ports need on every start and stop, over NETLINK_NETFILTER
 * (include/uapi/linux/netfilter/nf_tables.h): elements of maps, and questions about chains. Tables and rules are written by `nft`, once.
 */

import type { Family } from '../address.ts';
import {
  attribute,
  decodeAttributes,
  decodeMessages,
  decodeText,
  encodeMessage,
  listAttributes,
  messageFlags,
  nested,
  text,
} from './message.ts';
import type { Datagram } from './route.ts';

const { request, ack, create, dump } = messageFlags;
const batchBegin = 0x10;
const batchEnd = 0x11;
const nftSubsystem = 10;
const familyNumbers: Readonly<Record<Family | 'both', number>> = { 4: 2, 6: 10, both: 1 };
const command = { newElement: 12, getElement: 13, delElement: 14, getTable: 1, getChain: 4 } as const;
const list = { table: 1, set: 2, elements: 3 } as const;
const element = { key: 1, data: 2, userData: 6 } as const;
const dataValue = 1;
const listItem = 1;
const commentData = 0;
const chainAttribute = { policy: 5 } as const;

function header(family: number, resource: number): Buffer {
  return Buffer.from([family, 0, resource >> 8, resource & 255]);
}

function message(family: Family | 'both', which: number, flags: number, ...attributes: Buffer[]): Buffer {
  return encodeMessage((nftSubsystem << 8) | which, flags, header(familyNumbers[family], 0), ...attributes);
}

export function nftMessageType(which: number): number {
  return (nftSubsystem << 8) | which;
}

/** Wraps changes in the transaction the kernel wants around them. */
export function batch(messages: readonly Buffer[]): Datagram {
  return {
    bytes: Buffer.concat([
      encodeMessage(batchBegin, request, header(0, nftSubsystem)),
      ...messages,
      encodeMessage(batchEnd, request, header(0, nftSubsystem)),
    ]),
    acks: messages.length,
    patches: [],
  };
}

/** Key and data are in the registers' form: every field padded to four bytes. */
export interface MapElement {
  readonly family: Family;
  readonly set: string;
  readonly key: Buffer;
  /** Empty in a set that is no map. */
  readonly data: Buffer;
  /** Shown by `nft list`. */
  readonly comment?: string;
}

function value(type: number, bytes: Buffer): Buffer {
  return nested(type, attribute(dataValue, bytes));
}

function elementMessage(table: string, which: number, flags: number, item: MapElement): Buffer {
  const withData = which === command.newElement;
  const parts = [value(element.key, item.key)];
  if (withData && item.data.length > 0) parts.push(value(element.data, item.data));
  if (withData && item.comment !== undefined) {
    const comment = text(item.comment);
    parts.push(attribute(element.userData, Buffer.concat([Buffer.from([commentData, comment.length]), comment])));
  }
  return message(
    item.family,
    which,
    request | ack | flags,
    attribute(list.table, text(table)),
    attribute(list.set, text(item.set)),
    nested(list.elements, nested(listItem, ...parts)),
  );
}

/** All or none. */
export function addElements(table: string, items: readonly MapElement[]): Datagram {
  return batch(items.map((item) => elementMessage(table, command.newElement, create, item)));
}

/** All or none: fails when one is not there. */
export function deleteElements(table: string, items: readonly MapElement[]): Datagram {
  return batch(items.map((item) => elementMessage(table, command.delElement, 0, item)));
}

export function listElements(family: Family, table: string, set: string): Datagram {
  const bytes = message(
    family,
    command.getElement,
    request | dump,
    attribute(list.table, text(table)),
    attribute(list.set, text(set)),
  );
  return { bytes, acks: 1, patches: [] };
}

export function decodeElements(answer: Buffer, family: Family, set: string): MapElement[] {
  const items: MapElement[] = [];
  for (const { type, payload } of decodeMessages(answer)) {
    if (type !== ((nftSubsystem << 8) | command.newElement)) continue;
    const elements = decodeAttributes(payload.subarray(4)).get(list.elements);
    for (const [, bytes] of listAttributes(elements ?? Buffer.alloc(0))) {
      const parts = decodeAttributes(bytes);
      items.push({ family, set, key: readValue(parts.get(element.key)), data: readValue(parts.get(element.data)) });
    }
  }
  return items;
}

function readValue(bytes: Buffer | undefined): Buffer {
  return Buffer.from(decodeAttributes(bytes ?? Buffer.alloc(0)).get(dataValue) ?? Buffer.alloc(0));
}

/** Answered by an ENOENT when the table or the chain is not there. `both` is nft's `inet`. */
export function getTable(family: Family | 'both', table: string): Datagram {
  return { bytes: message(family, command.getTable, request | ack, attribute(1, text(table))), acks: 1, patches: [] };
}

export function getChain(family: Family, table: string, chain: string): Datagram {
  const bytes = message(family, command.getChain, request | ack, attribute(1, text(table)), attribute(3, text(chain)));
  return { bytes, acks: 1, patches: [] };
}

/** The policy of the chain in an answer to {@link getChain}; undefined for chains without one and for no answer. */
export function decodePolicy(answer: Buffer): 'drop' | 'accept' | undefined {
  for (const { type, payload } of decodeMessages(answer)) {
    if (type !== ((nftSubsystem << 8) | 3)) continue;
    const attributes = decodeAttributes(payload.subarray(4));
    const policy = attributes.get(chainAttribute.policy);
    if (decodeText(attributes.get(3) ?? Buffer.alloc(0)) !== '' && policy?.length === 4) {
      return policy.readUInt32BE(0) === 0 ? 'drop' : 'accept';
    }
  }
  return undefined;
}
