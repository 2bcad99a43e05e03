import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerInspect } from '#api-types';
import { Container } from './container.ts';
import { InspectedContainers } from './inspected.ts';
import { type ContainerBody, initialState } from './record.ts';

function inspections() {
  const inspected = new InspectedContainers();
  let made = 0;
  const describe = () => ({ Id: String(++made) }) as ContainerInspect;
  return (container: Container, graph: Record<string, string> | null = null) =>
    inspected.answer(container, graph, describe).Id;
}

const containerOf = (id: string, body: Partial<ContainerBody> = {}) =>
  new Container(id, id, { state: initialState, ...body } as ContainerBody);

test('an answer is given again until something that it shows changes', () => {
  const ask = inspections();
  const container = containerOf('a');
  assert.equal(ask(container), '1');
  assert.equal(ask(container), '1');
  const changes: readonly (() => void)[] = [
    () => container.setState({ status: 'running' }),
    () => container.setHealth({ status: 'healthy', failingStreak: 0, log: [] }),
    () => {
      container.name = 'b';
    },
    () => {
      container.execIDs = ['x'];
    },
    () => {
      container.execIDs = ['y'];
    },
  ];
  for (const [at, change] of changes.entries()) {
    change();
    assert.equal(ask(container), String(at + 2));
    assert.equal(ask(container), String(at + 2));
  }
});

test('its layers are where they are now', () => {
  const ask = inspections();
  const container = containerOf('a');
  assert.equal(ask(container, { MergedDir: '/1' }), '1');
  assert.equal(ask(container, { MergedDir: '/1' }), '1');
  assert.equal(ask(container, { MergedDir: '/1', LowerDir: '/2' }), '2');
  assert.equal(ask(container, { MergedDir: '/1' }), '3');
});

test('with links, which show the names of others, every answer is made', () => {
  const ask = inspections();
  const container = containerOf('a', { links: [{ containerID: 'c', name: 'c', alias: 'd' }] });
  assert.equal(ask(container), '1');
  assert.equal(ask(container), '2');
});

test('only the last containers are remembered', () => {
  const ask = inspections();
  const containers = Array.from({ length: 65 }, (_, at) => containerOf(`c${at}`));
  for (const container of containers) ask(container);
  assert.equal(ask(containers[64]!), '65');
  assert.equal(ask(containers[0]!), '66');
});
