/** Who answers to which name on one network. Names are compared without regard to case (RFC 4343). */
export class NetworkNames {
  /** In the order they came, so that the first name of an address is its own. */
  readonly #addresses = new Map<string, readonly string[]>();

  add(address: string, names: readonly string[]): void {
    if (address === '' || names.length === 0) return;
    this.#addresses.set(
      address,
      names.map((name) => name.toLowerCase()),
    );
  }

  remove(address: string): void {
    this.#addresses.delete(address);
  }

  /** Every address that has the name, of both families: several containers may share an alias. */
  addressesOf(name: string): readonly string[] {
    const wanted = name.toLowerCase();
    return [...this.#addresses].flatMap(([address, names]) => (names.includes(wanted) ? [address] : []));
  }

  nameOf(address: string): string | undefined {
    return this.#addresses.get(address)?.[0];
  }
}
