//! The named maxima of this crate.

use std::time::Duration;

/// The longest wait for a step of an HTTP request, where the program names none.
pub const HTTP_WAIT: Duration = Duration::from_secs(600);

/// Denials that are remembered of one program.
pub const DENIALS_MAX: usize = 16;

/// Bytes of random numbers that one call returns.
pub const RANDOM_BYTES_MAX: u64 = 1 << 20;

/// Senders of datagrams that a listening program may answer.
pub const UDP_PEERS_MAX: usize = 4_096;
