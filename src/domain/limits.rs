//! The numbers that bound what users may hand in. Those a hive may change are fields; the others are constants.

/// Limits that the settings may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest input of a task, in bytes of JSON.
    pub input_bytes_max: usize,
    /// Largest result of a task, in bytes of JSON.
    pub result_bytes_max: usize,
    /// Most output that one attempt may store, in bytes.
    pub output_bytes_max: u64,
    /// Most tasks that may wait (scheduled or queued) in one queue.
    pub queue_tasks_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            input_bytes_max: 1 << 20,
            result_bytes_max: 1 << 20,
            output_bytes_max: 10 << 20,
            queue_tasks_max: 5_000_000,
        }
    }
}

/// Longest title, in characters.
pub const TITLE_CHARS_MAX: usize = 256;
/// Most capabilities that a task may require.
pub const REQUIRES_MAX: usize = 16;
/// Most capabilities that an agent may have.
pub const CAPABILITIES_MAX: usize = 64;
/// Most labels on a task or an agent.
pub const LABELS_MAX: usize = 32;
/// Longest value of a label, in characters; its key is a name.
pub const LABEL_VALUE_CHARS_MAX: usize = 256;
/// Highest priority; 9 goes first.
pub const PRIORITY_MAX: u8 = 9;
/// Priority of a task that names none.
pub const PRIORITY_DEFAULT: u8 = 5;
/// Most attempts that may be asked for.
pub const ATTEMPTS_MAX_MAX: u32 = 100;
/// Attempts of a task that names none.
pub const ATTEMPTS_MAX_DEFAULT: u32 = 3;
/// Most assignments that one agent may hold at a time.
pub const CAPACITY_MAX: u32 = 10_000;
/// Highest limit on the tasks of a queue that are worked on at a time.
pub const CONCURRENCY_LIMIT_MAX: u32 = 100_000;
/// Most assignments that one lease call may ask for.
pub const LEASE_COUNT_MAX: u32 = 1_000;
/// Longest time that a lease call may wait, in milliseconds.
pub const LEASE_WAIT_MS_MAX: u64 = 30_000;
/// Largest body of a bulk request, in bytes.
pub const BULK_BODY_BYTES_MAX: usize = 16 << 20;
/// Most items in a bulk request.
pub const BULK_ITEMS_MAX: usize = 1_000;
/// Largest piece of output in one call, in bytes.
pub const OUTPUT_CHUNK_BYTES_MAX: usize = 64 * 1024;
/// Most API keys of one tenant; each takes a little memory of a running hive.
pub const API_KEYS_MAX: u32 = 1_000;
/// Longest time until an API key expires, in seconds (10 years).
pub const API_KEY_TTL_S_MAX: u64 = 3_653 * 24 * 3_600;
/// Longest delay of a task, in milliseconds (1 year).
pub const DELAY_MS_MAX: u64 = 366 * 24 * 3_600 * 1_000;
/// Longest correlation id, in characters.
pub const CORRELATION_ID_CHARS_MAX: usize = 128;
/// Longest progress message, in characters.
pub const PROGRESS_MESSAGE_CHARS_MAX: usize = 256;
