/** Netlink as values: datagrams are made and answers read here; sending them is the helper's work. */
export * from './conntrack.ts';
export { refusalText } from './message.ts';
export * from './nft-rules.ts';
export {
  addElements,
  decodeElements,
  decodePolicy,
  deleteElements,
  getChain,
  getTable,
  listElements,
  type MapElement,
} from './nftables.ts';
export * from './route.ts';
export * from './stacked.ts';
