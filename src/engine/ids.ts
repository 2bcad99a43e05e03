import { randomBytes, randomInt } from 'node:crypto';

/** A 64-digit hex identifier, as Docker gives containers, networks and execs. All-digit prefixes are avoided: they make poor host names. */
export function newID(): string {
  while (true) {
    const id = randomBytes(32).toString('hex');
    if (!/^\d{12}/.test(id)) return id;
  }
}

/** The twelve digits Docker shows. */
export function shortID(id: string): string {
  return id.replace(/^sha(256|512):/, '').slice(0, 12);
}

const moods = (
  'able agile alert amber ample balmy bold brave breezy bright brisk buoyant calm candid clear clever coastal ' +
  'cool coral crisp daring deft eager early earnest easy even fair fleet fond frank fresh gentle glad golden ' +
  'grand handy hardy hearty honest jolly keen kind lively lucid mellow merry misty modest neat nimble noble open ' +
  'patient placid plain quick quiet ready rosy sandy serene sharp silver sleek snug sober solid sound spry steady ' +
  'stout sturdy sunny swift tidal tidy trim true vivid warm wary wise witty zesty'
).split(' ');

const people = (
  'abel aiken amdahl ampere archer babbage backus banach bartik bessel boole cantor carson cerf chern church ' +
  'codd cook curie darwin diffie dijkstra dirac einstein erdos euclid euler faraday fermat feynman floyd fourier ' +
  'galileo gauss germain godel goldberg gray hamilton hamming hellman hertz hoare hopper huffman hypatia joule ' +
  'kelvin kepler kleene knuth lamport laplace leibniz liskov lovelace lynch maxwell mccarthy milner minsky napier ' +
  'neumann newton noether ohm pascal perlis planck poincare postel ptolemy ritchie rivest russell scott shannon ' +
  'sinclair stirling tesla thompson turing volta wiener wilkes wirth yonath zuse'
).split(' ');

/** A name for a container nobody named; `attempt` above 0 adds a digit, as Docker does after a clash. */
export function newName(attempt = 0): string {
  const name = `${moods[randomInt(moods.length)]}_${people[randomInt(people.length)]}`;
  return attempt === 0 ? name : `${name}${randomInt(10)}`;
}
