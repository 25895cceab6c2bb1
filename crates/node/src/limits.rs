//! The named maxima of this crate.

use std::time::Duration;

/// Calls of all functions together that run at once.
pub const RUNNING_MAX: u32 = 1_000;

/// Connections that are open at once; more of them wait to be accepted.
pub const CONNECTIONS_MAX: usize = 20_000;

/// How long a client may take to send the head of a request.
pub const HEAD_WAIT: Duration = Duration::from_secs(30);

/// Bytes that the head of a request may have.
pub const HEAD_BYTES_MAX: usize = 64 << 10;

/// Header fields that a request may have.
pub const HEADERS_MAX: usize = 128;

/// How long calls that run may go on when the node is told to stop.
pub const GRACE: Duration = Duration::from_secs(10);

/// Time slice of a function: after it, others have their turn.
pub const SLICE_TICKS: u64 = 1;

/// How long a warm instance waits for a call before it is given up.
pub const WARM_IDLE: Duration = Duration::from_secs(60);

/// Lines of log that are kept of an app.
pub const LOG_LINES_MAX: usize = 10_000;

/// Slots of the pool that instances live in.
pub const SLOTS: u32 = 1_000;

/// Elements of a list for each of which a step calls its function.
pub const FAN_OUT_MAX: usize = 10_000;

/// Executions of chains that are kept to be looked at.
pub const EXECUTIONS_MAX: usize = 200;
