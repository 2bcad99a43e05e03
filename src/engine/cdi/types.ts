/** What a CDI specification has done to a container: Container Device Interface 0.8, `containerEdits`. */
export interface CdiEdits {
  readonly env: readonly string[];
  readonly deviceNodes: readonly CdiDeviceNode[];
  readonly mounts: readonly {
    readonly source: string;
    readonly destination: string;
    readonly type: string;
    readonly options: readonly string[];
  }[];
  readonly hooks: readonly CdiHook[];
  readonly additionalGids: readonly number[];
}

export interface CdiDeviceNode {
  readonly path: string;
  readonly hostPath: string;
  readonly permissions: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly fileMode?: number;
}

export interface CdiHook {
  readonly name: string;
  readonly path: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly timeoutSeconds?: number;
}

export interface CdiSpec {
  /** `vendor/class`. */
  readonly kind: string;
  readonly edits: CdiEdits;
  /** By name. */
  readonly devices: ReadonlyMap<string, CdiEdits>;
}
