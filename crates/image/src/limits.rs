//! The named maxima of this crate.

use std::time::Duration;

use crate::{Bytes, Time};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes of a trust list.
pub const TRUST_LIST_BYTES_MAX: usize = 1 << 20;

/// Programs and keys on a trust list: each signature of a program may be checked with each key.
pub const TRUST_ENTRIES_MAX: usize = 1_000;

/// Characters of a note on a trust list.
pub const TRUST_NOTE_CHARS_MAX: usize = 200;

/// Bytes of what a program says of its signatures.
pub const SIGNATURE_BYTES_MAX: usize = 64 << 10;

/// Signatures of one program.
pub const SIGNATURES_MAX: usize = 16;

/// Parts of a program that are signed for.
pub const SIGNED_HASHES_MAX: usize = 256;

/// Bytes of a manifest.
pub const MANIFEST_BYTES_MAX: usize = 1 << 20;

/// Problems that one error reports; what lies beyond is counted.
pub const PROBLEMS_MAX: usize = 100;

/// Characters of a line that an error shows.
pub const EXCERPT_CHARS_MAX: usize = 100;

/// Characters of a message: a name in it may be as long as the manifest.
pub const MESSAGE_CHARS_MAX: usize = 400;

/// Functions of an app.
pub const FUNCTIONS_MAX: usize = 1_000;

/// Routes of an app.
pub const ROUTES_MAX: usize = 10_000;

/// Buckets of an app, and as many blob stores.
pub const BUCKETS_MAX: usize = 1_000;

/// Chains of an app.
pub const CHAINS_MAX: usize = 1_000;

/// Steps of a chain.
pub const STEPS_MAX: usize = 100;

/// Characters of a wrong name that is compared with the right ones.
pub const COMPARED_CHARS_MAX: usize = 64;

/// Names that a hint lists.
pub const LISTED_NAMES_MAX: usize = 16;

/// Bytes of the name of an app, function, bucket, chain or step: what a label of a host name holds.
pub const NAME_BYTES_MAX: usize = 63;

/// Bytes of a version.
pub const VERSION_BYTES_MAX: usize = 63;

/// Bytes of a route's path.
pub const ROUTE_PATH_BYTES_MAX: usize = 1_024;

/// Warm instances kept for one function.
pub const REUSE_MAX: u32 = 10_000;

/// Processes of a function that stand by.
pub const SPARE_MAX: u32 = 16;

/// The longest that a process may have no call until it is frozen: a year of 365.25 days.
pub const FREEZE_MAX: Time = Time(Duration::from_secs(31_557_600));

/// Requests that one instance answers at the same time.
pub const SHARE_MAX: u32 = 1_000;

/// The least and the most memory of an instance: one page, and more than a machine is expected to have.
pub const MEMORY_MIN: Bytes = Bytes(64 << 10);
/// See [`MEMORY_MIN`].
pub const MEMORY_MAX: Bytes = Bytes(1 << 40);

/// The longest that a call, a step or a chain may take.
pub const DEADLINE_MAX: Time = Time(DAY);

/// Calls of one function at once.
pub const CONCURRENCY_MAX: u32 = 100_000;

/// Calls that wait for one function.
pub const QUEUE_MAX: u32 = 1_000_000;

/// Bytes of a request's body.
pub const BODY_MAX: Bytes = Bytes(1 << 40);

/// The longest that a key lives, if its bucket lets keys die: a hundred years of 365.25 days.
pub const TTL_MAX: Time = Time(Duration::from_secs(36_525 * 24 * 60 * 60));

/// The most that a bucket or blob store holds: 1 PiB.
pub const QUOTA_MAX: Bytes = Bytes(1 << 50);

/// Calls that one step makes before it has failed.
pub const ATTEMPTS_MAX: u32 = 100;

/// The longest wait before a step is tried again.
pub const RETRY_DELAY_MAX: Time = Time(HOUR);

/// The most by which a wait may grow from one attempt to the next.
pub const RETRY_FACTOR_MAX: f64 = 100.0;
