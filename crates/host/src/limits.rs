//! The named maxima of this crate.

use std::time::Duration;

/// The longest wait for a step of an HTTP request, where the program names none.
pub const HTTP_WAIT: Duration = Duration::from_secs(600);

/// Calls that are nested: a function that calls itself must come to an end.
pub const CALL_DEPTH_MAX: u32 = 32;

/// Calls of one instance that are begun and have not ended.
pub const CALLS_PENDING_MAX: usize = 256;

/// Objects that one instance writes at the same time.
pub const OBJECTS_WRITTEN_MAX: usize = 16;

/// Writes to one object that wait for the store.
pub const OBJECT_QUEUE_MAX: usize = 64;

/// Bytes of one write to an object.
pub const OBJECT_WRITE_BYTES_MAX: usize = 16 << 10;

/// Bytes of an object that can be read at once, not as a stream.
pub const OBJECT_AT_ONCE_BYTES_MAX: u64 = 16 << 20;

/// Attributes of one span of a trace; what is more is dropped.
pub const SPAN_ATTRIBUTES_MAX: usize = 128;

/// Bytes of memory that the attributes of a span take together: thousands of spans may wait.
pub const SPAN_ATTRIBUTES_BYTES_MAX: usize = 16 << 10;

/// Bytes of each text of a span or record: its name, the names and values of its attributes, its error; the rest is cut.
pub const SPAN_TEXT_BYTES_MAX: usize = 4 << 10;

/// Bytes of memory of the attributes of one record of a log; what is more is dropped.
pub const RECORD_ATTRIBUTES_BYTES_MAX: usize = 8 << 10;

/// Bytes of memory of the metrics of one export; a larger one is refused.
pub const METRICS_BYTES_MAX: usize = 64 << 10;

/// Bytes of one line of a function's log; the rest of it is cut.
pub const LOG_LINE_BYTES_MAX: usize = 16 << 10;

/// Denials that are remembered of one program.
pub const DENIALS_MAX: usize = 16;

/// Bytes of random numbers that one call returns.
pub const RANDOM_BYTES_MAX: u64 = 1 << 20;

/// Senders of datagrams that a listening program may answer.
pub const UDP_PEERS_MAX: usize = 4_096;

/// Name servers that a machine has: what more there are, nobody asks.
pub const NAME_SERVERS_MAX: usize = 3;

/// For so long a granted name means what it meant.
pub const NAME_MEANS: Duration = Duration::from_secs(60);
