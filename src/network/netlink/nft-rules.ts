/**
 * Tables with rules over NETLINK_NETFILTER, for namespaces of containers, where starting `nft` would cost more than everything else
 * (include/uapi/linux/netfilter/nf_tables.h).
 */
import { attribute, encodeMessage, messageFlags, nested, text } from './message.ts';
import { batch, nftMessageType } from './nftables.ts';
import type { Datagram } from './route.ts';

const { request, ack, create } = messageFlags;
const command = { newTable: 0, newChain: 3, newRule: 6 } as const;
const ipv4 = 2;
const header = Buffer.from([ipv4, 0, 0, 0]);
const register = 1;
const addressRegister = 1;
const portRegister = 2;
const table = { name: 1 } as const;
const chain = { table: 1, name: 3, hook: 4, type: 7 } as const;
const hook = { number: 1, priority: 2 } as const;
const rule = { table: 1, chain: 2, expressions: 4 } as const;
const expression = { name: 1, data: 2 } as const;
const listItem = 1;
const dataValue = 1;

const outputHook = { hook: 3, priority: -100 } as const;

function be32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return bytes;
}

function message(which: number, ...attributes: Buffer[]): Buffer {
  return encodeMessage(nftMessageType(which), request | ack | create, header, ...attributes);
}

function expr(name: string, ...attributes: Buffer[]): Buffer {
  return nested(listItem, attribute(expression.name, text(name)), nested(expression.data, ...attributes));
}

function value(type: number, bytes: Buffer): Buffer {
  return nested(type, attribute(dataValue, bytes));
}

const networkBase = 1;
const transportBase = 2;

function loadPayload(base: number, offset: number, sizeBytes: number): Buffer {
  return expr(
    'payload',
    attribute(1, be32(register)),
    attribute(2, be32(base)),
    attribute(3, be32(offset)),
    attribute(4, be32(sizeBytes)),
  );
}

function loadProtocol(): Buffer {
  const l4proto = 16;
  return expr('meta', attribute(1, be32(register)), attribute(2, be32(l4proto)));
}

function equals(bytes: Buffer): Buffer {
  const isEqual = 0;
  return expr('cmp', attribute(1, be32(register)), attribute(2, be32(isEqual)), value(3, bytes));
}

function load(target: number, bytes: Buffer): Buffer {
  return expr('immediate', attribute(1, be32(target)), value(2, bytes));
}

function translateDestination(): Buffer {
  const destination = 1;
  return expr(
    'nat',
    attribute(1, be32(destination)),
    attribute(2, be32(ipv4)),
    attribute(3, be32(addressRegister)),
    attribute(5, be32(portRegister)),
  );
}

/** What is sent to one address and port goes to another port of it. */
export interface PortTranslation {
  /** IANA's number: 6 is TCP, 17 UDP. */
  readonly protocol: number;
  /** Four bytes. */
  readonly address: Buffer;
  readonly from: number;
  readonly to: number;
}

function be16Padded(port: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(port);
  return bytes;
}

function translation(tableName: string, chainName: string, item: PortTranslation): Buffer {
  const destinationAddress = { offset: 16, sizeBytes: 4 };
  const destinationPort = { offset: 2, sizeBytes: 2 };
  const expressions = [
    loadPayload(networkBase, destinationAddress.offset, destinationAddress.sizeBytes),
    equals(item.address),
    loadProtocol(),
    equals(Buffer.from([item.protocol])),
    loadPayload(transportBase, destinationPort.offset, destinationPort.sizeBytes),
    equals(be16Padded(item.from).subarray(0, 2)),
    load(addressRegister, item.address),
    load(portRegister, be16Padded(item.to).subarray(0, 2)),
    translateDestination(),
  ];
  return message(
    command.newRule,
    attribute(rule.table, text(tableName)),
    attribute(rule.chain, text(chainName)),
    nested(rule.expressions, ...expressions),
  );
}

/** A table of its own that translates what processes of the namespace send. */
export function translateOutput(tableName: string, items: readonly PortTranslation[]): Datagram {
  const chainName = 'output';
  return batch([
    message(command.newTable, attribute(table.name, text(tableName))),
    message(
      command.newChain,
      attribute(chain.table, text(tableName)),
      attribute(chain.name, text(chainName)),
      nested(
        chain.hook,
        attribute(hook.number, be32(outputHook.hook)),
        attribute(hook.priority, be32(outputHook.priority)),
      ),
      attribute(chain.type, text('nat')),
    ),
    ...items.map((item) => translation(tableName, chainName, item)),
  ]);
}

/** Takes the table away; absent is an ENOENT. */
export function deleteTable(tableName: string): Datagram {
  const delTable = 2;
  return batch([
    encodeMessage(nftMessageType(delTable), request | ack, header, attribute(table.name, text(tableName))),
  ]);
}
