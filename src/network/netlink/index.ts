/** Netlink as values: datagrams are made and answers read here; sending them is the helper's work. */
export * from './conntrack.ts';
export { refusalText } from './message.ts';
export * from './nftables.ts';
export * from './route.ts';
