import { posix } from 'node:path';
import type { ArgInstruction, CommandLine, Instruction, Stage } from '../ast.ts';
import { cleanPath } from '../dockerignore.ts';
import { expandWords } from '../expand.ts';
import type { SourceRange } from '../location.ts';
import { parseMount } from '../mounts.ts';
import type { NameValue } from '../statements.ts';
import { substitute } from '../substitute.ts';
import { suggestion } from '../suggest.ts';
import { quote } from '../text.ts';
import { checkExposed } from './exposed.ts';
import type { CheckFacts } from './facts.ts';
import { expandLooking } from './lookup.ts';
import { rules } from './rules.ts';
import { soundsSecret } from './secrets.ts';
import type { Warnings } from './warnings.ts';

/** Names that one is compared with: an environment of more is nobody's to look through. */
const maxSuggested = 500;

/** What one stage leaves to those that start from it. */
export interface StageEnd {
  readonly env: ReadonlyMap<string, string>;
  /** Names of ARGs, with or without a value. */
  readonly declared: ReadonlySet<string>;
  readonly workdirSet: boolean;
  readonly shellSet: boolean;
}

interface Checking {
  readonly facts: CheckFacts;
  readonly warnings: Warnings;
  readonly escapeToken: string;
  /** Of the lines before the first FROM. */
  readonly inherited: ReadonlyMap<string, string>;
}

/** Follows the instructions of a stage, its triggers first, as BuildKit does: every ARG and ENV before a line counts in it. */
export class StageCheck {
  readonly #checking: Checking;
  readonly #env: Map<string, string>;
  readonly #declared: Set<string>;
  readonly #last = new Map<string, SourceRange>();
  #workdirSet: boolean;
  #shellSet: boolean;

  constructor(start: StageEnd, checking: Checking) {
    this.#checking = checking;
    this.#env = new Map(start.env);
    this.#declared = new Set(start.declared);
    this.#workdirSet = start.workdirSet;
    this.#shellSet = start.shellSet;
  }

  get end(): StageEnd {
    return { env: this.#env, declared: this.#declared, workdirSet: this.#workdirSet, shellSet: this.#shellSet };
  }

  /** @throws SyntaxFault for a variable that cannot be put in, in whose place the build fails too */
  follow(stage: Stage, triggers: readonly Instruction[]): void {
    for (const trigger of triggers) this.#check({ ...trigger, range: stage.range });
    for (const instruction of stage.instructions) this.#check(instruction);
  }

  #check(written: Instruction): void {
    const instruction = this.#expanded(written);
    const { range, keyword } = instruction;
    switch (instruction.kind) {
      case 'env':
        this.#checkPairs(instruction.pairs, keyword, range);
        for (const { name, value } of instruction.pairs) {
          this.#checkSecret('ENV', name, range);
          this.#env.set(name, value);
        }
        return;
      case 'label':
        if (!instruction.literal) this.#checkPairs(instruction.pairs, keyword, range);
        return;
      case 'arg':
        this.#declare(instruction);
        return;
      case 'workdir':
        this.#checkWorkdir(instruction.path, range);
        return;
      case 'shell':
        this.#shellSet = true;
        return;
      case 'cmd':
      case 'entrypoint':
        this.#checkOnce(keyword, range);
        this.#checkForm(instruction.command, keyword, range);
        return;
      case 'healthcheck':
        this.#checkOnce(keyword, range);
        return;
      case 'expose':
        this.#checkPorts(instruction.ports, range);
        return;
      case 'add':
      case 'copy':
        if (instruction.kind === 'add' || instruction.from === '') this.#checkSources(instruction.sources, instruction);
        return;
      case 'run':
        for (const mount of instruction.mounts) parseMount(mount, (word) => this.#expand(word, range));
        return;
      case 'maintainer':
      case 'onbuild':
      case 'stopsignal':
      case 'user':
      case 'volume':
        return;
      default:
        instruction satisfies never;
    }
  }

  /** ARG has rules of its own: a default that is not used is not looked at. */
  #expanded(written: Instruction): Instruction {
    if (written.kind === 'arg') return written;
    return substitute(
      written,
      (word) => this.#expand(word, written.range),
      (text) => this.#expand(text, written.range, { skipQuotes: true }),
    );
  }

  #expand(word: string, range: SourceRange, how: { skipQuotes?: boolean } = {}): string {
    const options = { escape: how.skipQuotes ? '\\' : this.#checking.escapeToken, ...how };
    return expandLooking(word, this.#env, options, (names) => this.#reportUndefined(names, range)).text;
  }

  #reportUndefined(names: ReadonlySet<string>, range: SourceRange): void {
    for (const name of names) {
      if (this.#declared.has(name)) continue;
      const near = suggestion(name, [...this.#env.keys()].slice(0, maxSuggested));
      const hint = near === undefined ? '' : ` (did you mean $${near}?)`;
      this.#checking.warnings.add(rules.undefinedVar, range, `Usage of undefined variable '$${name}'${hint}`);
    }
  }

  #declare({ definitions, range }: ArgInstruction): void {
    const { facts, inherited } = this.#checking;
    for (const { name, value } of definitions) {
      this.#checkSecret('ARG', name, range);
      const given = Object.hasOwn(facts.buildArgs, name) ? (facts.buildArgs[name] ?? undefined) : undefined;
      const known = given ?? (value === undefined ? inherited.get(name) : this.#expand(value, range));
      if (known !== undefined) this.#env.set(name, known);
      this.#declared.add(name);
    }
  }

  #checkPairs(pairs: readonly NameValue[], keyword: string, range: SourceRange): void {
    const detail = `"${keyword} key=value" should be used instead of legacy "${keyword} key value" format`;
    for (const pair of pairs) if (pair.oldForm) this.#checking.warnings.add(rules.legacyKeyValueFormat, range, detail);
  }

  #checkSecret(keyword: string, name: string, range: SourceRange): void {
    if (!soundsSecret(name)) return;
    const detail = `Do not use ARG or ENV instructions for sensitive data (${keyword} ${quote(name)})`;
    this.#checking.warnings.add(rules.secretsUsedInArgOrEnv, range, detail);
  }

  /** Only the first one: it makes those after it what they are. */
  #checkWorkdir(path: string, range: SourceRange): void {
    if (!this.#workdirSet && !posix.isAbsolute(path)) {
      const detail = `Relative workdir ${quote(path)} can have unexpected results if the base image changes`;
      this.#checking.warnings.add(rules.workdirRelativePath, range, detail);
    }
    this.#workdirSet = true;
  }

  /** The one before is the one that does not count. */
  #checkOnce(keyword: string, range: SourceRange): void {
    const key = keyword.toLowerCase();
    const earlier = this.#last.get(key);
    if (earlier) {
      const detail = `Multiple ${keyword} instructions should not be used in the same stage because only the last one will be used`;
      this.#checking.warnings.add(rules.multipleInstructionsDisallowed, earlier, detail);
    }
    this.#last.set(key, range);
  }

  /** Who chose a shell wants one. */
  #checkForm({ shellForm }: CommandLine, keyword: string, range: SourceRange): void {
    if (!shellForm || this.#shellSet) return;
    const detail = `JSON arguments recommended for ${keyword} to prevent unintended behavior related to OS signals`;
    this.#checking.warnings.add(rules.jsonArgsRecommended, range, detail);
  }

  #checkPorts(ports: readonly string[], range: SourceRange): void {
    const options = { escape: this.#checking.escapeToken, lookup: (name: string) => this.#env.get(name) };
    for (const port of ports.flatMap((word) => expandWords(word, options))) {
      checkExposed(port, range, this.#checking.warnings);
    }
  }

  #checkSources(sources: readonly string[], { kind, range }: { kind: 'add' | 'copy'; range: SourceRange }): void {
    const { ignored } = this.#checking.facts;
    for (const source of sources) {
      // As BuildKit, which compares what is written: `./x` is not looked for.
      if (!ignored?.excludes(source) || cleanPath(source) !== source || isRemote(source)) continue;
      const detail = `Attempting to ${kind === 'add' ? 'Add' : 'Copy'} file ${quote(source)} that is excluded by .dockerignore`;
      this.#checking.warnings.add(rules.copyIgnoredFile, range, detail);
    }
  }
}

function isRemote(source: string): boolean {
  return /^(?:https?|git|ssh):\/\/|^git@/.test(source);
}
