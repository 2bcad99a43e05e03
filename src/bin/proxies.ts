/** Proxies of what the daemon itself fetches; absent ones are those of its environment. */
export interface Proxies {
  readonly HTTP_PROXY?: string;
  readonly HTTPS_PROXY?: string;
  readonly NO_PROXY?: string;
}

export function readProxies(text: (flag: string) => string | undefined): Proxies {
  const [http, https, no] = [text('http-proxy'), text('https-proxy'), text('no-proxy')];
  return {
    ...(http ? { HTTP_PROXY: http } : {}),
    ...(https ? { HTTPS_PROXY: https } : {}),
    ...(no ? { NO_PROXY: no } : {}),
  };
}

/** Puts them into the environment, where the registry's client looks as well as the programs that are run (`git`): some read the names in lower case alone. */
export function useProxies(proxies: Proxies, environment: NodeJS.ProcessEnv = process.env): void {
  for (const [name, value] of Object.entries(proxies) as [string, string][]) {
    environment[name] = value;
    environment[name.toLowerCase()] = value;
  }
}

/** `http://user:secret@host:3128`, or `host:3128`. Kinds of proxies that could not be used are told now, not at the first pull. */
export function checkProxy(value: string): void {
  const url = value.includes('://') ? value : `http://${value}`;
  if (!URL.canParse(url)) throw new Error(`invalid proxy: ${maskCredentials(value)} is not a valid URI`);
  const { protocol } = new URL(url);
  if (/^(https?|socks5h?):$/.test(protocol)) return;
  throw new Error(`invalid proxy: ${maskCredentials(value)}: only http://, https:// and socks5:// are supported`);
}

/** For what is shown and logged. */
export function maskCredentials(value: string): string {
  return value.replace(/^([^:/]+:\/\/)?[^/@]*(?:@[^/@]*)*@/, '$1xxxxx:xxxxx@');
}
