import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isKind, messageOf } from '#errdefs';
import { decodeAs } from './call.ts';
import { createConfig } from './decoders/container.ts';
import { decodeFirst, JsonNumber, type JsonValue, unmarshal } from './go-json.ts';

function plain(value: JsonValue): unknown {
  if (value instanceof JsonNumber) return Number(value.source);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

const message = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    assert.ok(isKind(error, 'invalid-argument'), String(error));
    return messageOf(error);
  }
  return 'accepted';
};

test('reads what JSON.parse reads, and refuses what it refuses', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      assert.deepEqual(plain(unmarshal(text)), JSON.parse(text));
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'{}[]":,0123.eE-+ntrufalsxé\\ ') }), (text) => {
      let valid = true;
      try {
        JSON.parse(text);
      } catch {
        valid = false;
      }
      assert.equal(message(() => unmarshal(text)) === 'accepted', valid, text);
    }),
  );
});

/** Bodies and dockerd's answers to them, after `invalid JSON: `. */
const syntax: Readonly<Record<string, string>> = {
  '{': 'unexpected EOF',
  '{"Image":"tin': 'unexpected EOF',
  '{"Image" "x"}': `invalid character '"' after object key`,
  '{"Image":tru}': `invalid character '}' in literal true (expecting 'e')`,
  '{"Image":"\x01"}': `invalid character '\\x01' in string`,
  '{"Image":"\\x"}': 'invalid escape sequence `\\x` in string',
  '{"Image":01}': `invalid character '1' after object key:value pair`,
  '{"Image":"x",}': `invalid character '}' looking for beginning of object key string`,
  '{"a":-}': `invalid character '}' in numeric literal`,
  '{"a":1.}': `invalid character '}' in numeric literal`,
  '{"a":1e}': `invalid character '}' in numeric literal`,
  '{"a":[1 2]}': `invalid character '2' after array element`,
  '{"a":1 "b":2}': `invalid character '"' after object key:value pair`,
  '{1:2}': `invalid character '1' looking for beginning of object key string`,
  nul: 'unexpected EOF',
  nulx: `invalid character 'x' in literal null (expecting 'l')`,
  x: `invalid character 'x' looking for beginning of value`,
};

test('syntax errors are in the words of Go', () => {
  for (const [body, want] of Object.entries(syntax)) {
    assert.equal(
      message(() => decodeFirst(body)),
      want,
      body,
    );
  }
  assert.equal(
    message(() => unmarshal('{')),
    'unexpected end of JSON input',
  );
  assert.equal(
    message(() => unmarshal('1 x')),
    `invalid character 'x' after top-level value`,
  );
  assert.equal(
    message(() => unmarshal('['.repeat(100_000))),
    'exceeded max depth',
  );
});

const types: Readonly<Record<string, string>> = {
  '[]': 'cannot unmarshal array into Go value of type container.CreateRequest',
  '5': 'cannot unmarshal number into Go value of type container.CreateRequest',
  '{"Image":5}': 'cannot unmarshal number into Go struct field .Image of type string',
  '{"image":5}': 'cannot unmarshal number into Go struct field .image of type string',
  '{"Env":"x"}': 'cannot unmarshal string into Go struct field .Env of type []string',
  '{"Env":[1]}': 'cannot unmarshal number into .Env.0 of type string',
  '{"Labels":[]}': 'cannot unmarshal array into Go struct field .Labels of type map[string]string',
  '{"Labels":{"a":1}}': 'cannot unmarshal number into Go struct field .Labels.a of type string',
  '{"Tty":1}': 'cannot unmarshal number into Go struct field .Tty of type bool',
  '{"StopTimeout":"x"}': 'cannot unmarshal string into Go struct field .StopTimeout of type int',
  '{"Cmd":5}': 'cannot unmarshal number into Go value of type string',
  '{"Entrypoint":["a",1]}': 'cannot unmarshal array into Go value of type string',
  '{"Volumes":{"a":1}}': 'cannot unmarshal number into Go struct field .Volumes.a of type struct {}',
  '{"ExposedPorts":["a"]}': 'cannot unmarshal array into Go struct field .ExposedPorts of type nat.PortSet',
  '{"HostConfig":5}': 'cannot unmarshal number into Go struct field .HostConfig of type container.HostConfig',
  '{"HostConfig":{"Memory":"x"}}': 'cannot unmarshal string into Go struct field .HostConfig.Memory of type int64',
  '{"HostConfig":{"Memory":1.5}}': 'cannot unmarshal number 1.5 into Go struct field .HostConfig.Memory of type int64',
  '{"HostConfig":{"Memory":1e3}}': 'cannot unmarshal number 1e3 into Go struct field .HostConfig.Memory of type int64',
  '{"HostConfig":{"Memory":99999999999999999999}}':
    'cannot unmarshal number 99999999999999999999 into Go struct field .HostConfig.Memory of type int64',
  '{"HostConfig":{"ConsoleSize":[1,-2]}}': 'cannot unmarshal number -2 into .HostConfig.ConsoleSize.1 of type uint',
  '{"HostConfig":{"NetworkMode":5}}':
    'cannot unmarshal number into Go struct field .HostConfig.NetworkMode of type container.NetworkMode',
  '{"HostConfig":{"Mounts":[{"Type":3}]}}':
    'cannot unmarshal number into Go struct field .HostConfig.Mounts.0.Type of type mount.Type',
  '{"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":80}]}}}':
    'cannot unmarshal number into Go struct field .HostConfig.PortBindings.80~1tcp.0.HostPort of type string',
  '{"NetworkingConfig":{"EndpointsConfig":{"a/b":5}}}':
    'cannot unmarshal number into Go struct field .NetworkingConfig.EndpointsConfig.a~1b of type network.EndpointSettings',
  '{"HostConfig":{"BlkioWeight":-1}}':
    'cannot unmarshal number -1 into Go struct field .HostConfig.BlkioWeight of type uint16',
};

test('type errors name the field as dockerd does', () => {
  for (const [body, want] of Object.entries(types)) {
    const got = message(() => decodeAs(createConfig, decodeFirst(body).value));
    assert.equal(got, `invalid JSON: json: ${want}`, body);
  }
});

test('null is absence, names match in any case, unknown fields pass', () => {
  const text = '{"image":"a","Cmd":"one","Env":null,"Nope":{"x":1},"HostConfig":{"PidsLimit":null,"CapAdd":"ALL"}}';
  assert.deepEqual(decodeAs(createConfig, decodeFirst(text).value), {
    Image: 'a',
    Cmd: ['one'],
    HostConfig: { CapAdd: ['ALL'] },
  });
  const hostile = decodeAs(createConfig, decodeFirst('{"__proto__":{"x":1},"Labels":{"__proto__":"v"}}').value);
  assert.equal(Object.getPrototypeOf(hostile), Object.prototype);
});
