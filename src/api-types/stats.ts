/** One device's count of one operation. Version 1 spells operations with a capital. */
export interface BlkioStatEntry {
  readonly major: number;
  readonly minor: number;
  readonly op: string;
  readonly value: number;
}

type Entries = readonly BlkioStatEntry[] | null;

/** Times are nanoseconds. `system_cpu_usage` and `online_cpus` are absent of a container that does not run. */
export interface CpuStats {
  readonly cpu_usage: {
    readonly total_usage: number;
    readonly percpu_usage?: readonly number[];
    readonly usage_in_kernelmode: number;
    readonly usage_in_usermode: number;
  };
  readonly system_cpu_usage?: number;
  readonly online_cpus?: number;
  readonly throttling_data: {
    readonly periods: number;
    readonly throttled_periods: number;
    readonly throttled_time: number;
  };
}

export interface NetworkStats {
  readonly rx_bytes: number;
  readonly rx_packets: number;
  readonly rx_errors: number;
  readonly rx_dropped: number;
  readonly tx_bytes: number;
  readonly tx_packets: number;
  readonly tx_errors: number;
  readonly tx_dropped: number;
}

/** One sample of `GET /containers/{id}/stats`. Fields in the order dockerd writes them; absent where Go leaves zeros out. */
export interface ContainerStats {
  readonly name?: string;
  readonly id?: string;
  readonly read: string;
  readonly preread: string;
  readonly pids_stats: { readonly current?: number; readonly limit?: number };
  readonly blkio_stats: {
    readonly io_service_bytes_recursive: Entries;
    readonly io_serviced_recursive: Entries;
    readonly io_queue_recursive: Entries;
    readonly io_service_time_recursive: Entries;
    readonly io_wait_time_recursive: Entries;
    readonly io_merged_recursive: Entries;
    readonly io_time_recursive: Entries;
    readonly sectors_recursive: Entries;
  };
  readonly num_procs: number;
  readonly storage_stats: Readonly<Record<string, never>>;
  readonly cpu_stats: CpuStats;
  readonly precpu_stats: CpuStats;
  readonly memory_stats: {
    readonly usage?: number;
    readonly max_usage?: number;
    readonly stats?: Readonly<Record<string, number>>;
    readonly failcnt?: number;
    readonly limit?: number;
  };
  readonly networks?: Readonly<Record<string, NetworkStats>>;
}
