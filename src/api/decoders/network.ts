import type {
  EndpointSettings,
  IPAM,
  IPAMConfig,
  NetworkConnectConfig,
  NetworkCreateConfig,
  NetworkDisconnectConfig,
} from '#api-types';
import { bool, integer, list, map, object, string, word } from '../decode.ts';

const strings = list(string());
const stringMap = map(string());

export const endpoint = object<EndpointSettings>('network.EndpointSettings', {
  IPAMConfig: object('network.EndpointIPAMConfig', {
    IPv4Address: string(),
    IPv6Address: string(),
    LinkLocalIPs: strings,
  }),
  Links: strings,
  Aliases: strings,
  MacAddress: string(),
  DriverOpts: stringMap,
  GwPriority: integer('int'),
  NetworkID: string(),
  EndpointID: string(),
  Gateway: string(),
  IPAddress: string(),
  IPPrefixLen: integer('int'),
  IPv6Gateway: string(),
  GlobalIPv6Address: string(),
  GlobalIPv6PrefixLen: integer('int'),
  DNSNames: strings,
});

const ipam = object<Partial<IPAM>>('network.IPAM', {
  Driver: string(),
  Options: stringMap,
  Config: list(
    object<IPAMConfig>('network.IPAMConfig', {
      Subnet: string(),
      IPRange: string(),
      Gateway: string(),
      AuxiliaryAddresses: stringMap,
    }),
  ),
});

/** `POST /networks/create`. */
export const networkCreate = object<NetworkCreateConfig>('network.CreateRequest', {
  Name: string(),
  CheckDuplicate: bool,
  Driver: string(),
  Scope: word('string'),
  EnableIPv4: bool,
  EnableIPv6: bool,
  IPAM: ipam,
  Internal: bool,
  Attachable: bool,
  Ingress: bool,
  ConfigOnly: bool,
  ConfigFrom: object('network.ConfigReference', { Network: string() }),
  Options: stringMap,
  Labels: stringMap,
});

/** `POST /networks/{id}/connect`. */
export const networkConnect = object<NetworkConnectConfig>('network.ConnectOptions', {
  Container: string(),
  EndpointConfig: endpoint,
});

/** `POST /networks/{id}/disconnect`. */
export const networkDisconnect = object<NetworkDisconnectConfig>('network.DisconnectOptions', {
  Container: string(),
  Force: bool,
});
