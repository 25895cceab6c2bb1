//! How fast a sealed process may send: one rate, which all of its sockets share.
//!
//! The kernel holds each connection to its part (`SO_MAX_PACING_RATE` of socket(7)), which the process cannot change. One on
//! which something waits to be sent has a larger part than others; which these are is looked at again and again. So is what
//! they have sent: the first packets of a connection go out at once, and where many connections sent too much, the next one has
//! to wait. A connection that was closed keeps a part as long as it sends. Datagrams go through the supervisor, and those that
//! are too many are lost, as in any queue that is full.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::egress::Protocol;
use super::socket::Socket;
use crate::limits::{EGRESS_RATE_MIN, SEALED_CLOSING_MAX, SEALED_DATAGRAM_BYTES_MAX};

/// How often it is looked at what connections have sent, and have to send.
pub(super) const PERIOD: Duration = Duration::from_millis(100);

/// How often at most, by whoever connects again and again: to look takes as many system calls as there are connections.
const PERIOD_MIN: Duration = Duration::from_millis(10);

/// How many parts a connection has on which something waits, where others have one.
const PARTS_WAITING: u64 = 16;

/// The least rate of a connection, in bytes a second. With none at all it would not be held to any.
const RATE_MIN: u64 = EGRESS_RATE_MIN / 256;

/// Bytes of a packet, as in most networks. Two go out at once; on the loopback interface these would be 128 KiB.
const PACKET_BYTES: i32 = 1_400;

/// The rate of one process.
pub(super) struct Pace {
    bytes_per_second: u64,
    account: Mutex<Account>,
    /// What the process has closed, since when, and what has not sent everything yet.
    closing: Mutex<Vec<(Instant, Arc<Socket>)>>,
    /// When that was shared last.
    looked: Mutex<Instant>,
    /// Whether a thread does it again and again.
    is_shared: AtomicBool,
}

impl Pace {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        let now = Instant::now();
        let (account, looked) = (Mutex::new(Account::new(bytes_per_second, now)), Mutex::new(now));
        let (closing, is_shared) = (Mutex::default(), AtomicBool::new(false));
        Self { bytes_per_second, account, closing, looked, is_shared }
    }

    fn closing(&self) -> MutexGuard<'_, Vec<(Instant, Arc<Socket>)>> {
        self.closing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a datagram of so many bytes may be sent now.
    pub(super) fn lets(&self, bytes: usize) -> bool {
        self.account().take(bytes as u64, Instant::now())
    }

    fn looked(&self) -> MutexGuard<'_, Instant> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long whoever connects has to wait, since so much more was sent than may be.
    pub(super) fn wait<'a>(&self, open: impl Iterator<Item = &'a Arc<Socket>>) -> Duration {
        let is_old = self.looked().elapsed() >= PERIOD_MIN;
        if is_old {
            self.share(open);
        }
        self.account().wait(Instant::now())
    }

    /// Holds a new socket to some of the rate, before it is the process's, where so many others are open.
    pub(super) fn hold(&self, socket: &Socket, others: usize) -> io::Result<()> {
        let parts = 1 + (others + self.closing().len()) as u64;
        socket.set_packet_bytes(PACKET_BYTES)?;
        socket.set_rate((self.bytes_per_second / parts).max(RATE_MIN))
    }

    /// Counts what was sent, and gives each connection its part. Whether there is any.
    pub(super) fn share<'a>(&self, open: impl Iterator<Item = &'a Arc<Socket>>) -> bool {
        *self.looked() = Instant::now();
        let mut closing = self.closing();
        let mut sent = 0;
        closing.retain(|(since, socket)| {
            let is_late = since.elapsed() >= SEALED_CLOSING_MAX;
            if is_late {
                // Also where the process has it under another number. It fails where there is no connection any more.
                let _ = socket.disconnect();
            }
            // What is sent after this was asked would be counted by nobody.
            let stays = !is_late && socket.has_unsent();
            sent += socket.newly_sent();
            stays
        });
        let mut connections: Vec<&Socket> = Vec::new();
        connections.extend(open.map(|socket| &**socket).filter(|socket| socket.protocol == Protocol::Tcp));
        sent += connections.iter().map(|socket| socket.newly_sent()).sum::<u64>();
        connections.extend(closing.iter().map(|(_, socket)| &**socket));
        let waiting: Vec<bool> = connections.iter().map(|socket| socket.has_unsent()).collect();
        let is_overdrawn = self.account().count(sent, Instant::now());
        // A little less, until all is paid for.
        let rate = if is_overdrawn { self.bytes_per_second / 8 * 7 } else { self.bytes_per_second };
        for (socket, rate) in connections.iter().zip(parts(rate, &waiting)) {
            // All are held to the whole rate at least.
            let _ = socket.set_rate(rate);
        }
        !connections.is_empty()
    }

    /// The process has closed this: it takes nothing more, and sends what it has.
    pub(super) fn close(&self, socket: Arc<Socket>) {
        if socket.protocol == Protocol::Tcp {
            socket.shut();
            self.account().count(socket.newly_sent(), Instant::now());
            self.closing().push((Instant::now(), socket));
        }
    }

    /// How many connections are still to send what they have.
    pub(super) fn closing_count(&self) -> usize {
        self.closing().len()
    }

    /// Nobody sends any more; what is left, the kernel sends as it did.
    pub(super) fn end(&self) {
        self.closing().clear();
    }

    /// Says whether a thread shares it; whether one did.
    pub(super) fn set_shared(&self, is_shared: bool) -> bool {
        self.is_shared.swap(is_shared, Ordering::Relaxed)
    }
}

/// What of a rate, in bytes a second, each of these has: much of it, where something waits to be sent.
fn parts(rate: u64, waiting: &[bool]) -> impl Iterator<Item = u64> {
    let parts_of = |waits: &bool| if *waits { PARTS_WAITING } else { 1 };
    let all: u64 = waiting.iter().map(parts_of).sum();
    waiting.iter().map(move |waits| (rate / all.max(1) * parts_of(waits)).max(RATE_MIN))
}

/// Bytes that may be sent: more with time, up to what a tenth of a second brings or one datagram has.
struct Account {
    bytes_per_second: u64,
    /// Less than nothing, where more was sent.
    bytes: i64,
    filled: Instant,
}

impl Account {
    fn new(bytes_per_second: u64, now: Instant) -> Self {
        Self { bytes_per_second, bytes: Self::room(bytes_per_second), filled: now }
    }

    fn room(bytes_per_second: u64) -> i64 {
        (bytes_per_second / 10).max(SEALED_DATAGRAM_BYTES_MAX as u64) as i64
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_micros();
        let more = u128::from(self.bytes_per_second) * passed / 1_000_000;
        // What is less than a byte is not lost.
        if more > 0 {
            let more = i64::try_from(more).unwrap_or(i64::MAX);
            self.bytes = self.bytes.saturating_add(more).min(Self::room(self.bytes_per_second));
            self.filled = now;
        }
    }

    /// Takes so many bytes, if they are there.
    fn take(&mut self, bytes: u64, now: Instant) -> bool {
        self.fill(now);
        let is_there = u64::try_from(self.bytes).is_ok_and(|there| there >= bytes);
        if is_there {
            self.bytes -= bytes as i64;
        }
        is_there
    }

    /// Takes bytes that were sent. Whether they were too many.
    fn count(&mut self, bytes: u64, now: Instant) -> bool {
        self.fill(now);
        self.bytes = self.bytes.saturating_sub_unsigned(bytes);
        self.bytes < 0
    }

    /// How long it takes until no more is to be paid than half a second brings.
    fn wait(&mut self, now: Instant) -> Duration {
        self.fill(now);
        let paid = self.bytes.saturating_add_unsigned(self.bytes_per_second / 2);
        let micros = u128::from(paid.min(0).unsigned_abs()) * 1_000_000 / u128::from(self.bytes_per_second);
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_something_to_send_has_most_and_all_have_no_more_than_there_is() {
        let parts = |rate, waiting: &[bool]| parts(rate, waiting).collect::<Vec<_>>();
        assert!(parts(1_000_000, &[]).is_empty());
        assert_eq!(parts(1_000_000, &[false]), [1_000_000]);
        assert_eq!(parts(1_000_000, &[true, true]), [500_000; 2]);
        assert_eq!(parts(1_800_000, &[true, false, false]), [1_600_000, 100_000, 100_000]);
        // Nobody has none, for that would be no limit.
        assert!(parts(EGRESS_RATE_MIN, &[false; 5_000]).iter().all(|part| *part == RATE_MIN));
        for open in [1, 7, 256] {
            let sum: u64 = parts(EGRESS_RATE_MIN, &vec![true; open]).iter().sum();
            assert!(sum <= EGRESS_RATE_MIN, "{open}: {sum}");
        }
    }

    #[test]
    fn datagrams_are_let_through_at_the_rate_and_no_more() {
        let begun = Instant::now();
        let mut account = Account::new(1_000_000, begun);
        // What it holds at first, a tenth of a second.
        let at_once = (0..1_000).filter(|_| account.take(1_000, begun)).count();
        assert_eq!(at_once, 100);
        // Each millisecond has room for one; asked every fraction of it, nothing is lost.
        let in_a_second = (1..=10_000)
            .filter(|tenth| account.take(1_000, begun + Duration::from_micros(tenth * 100)))
            .count();
        assert_eq!(in_a_second, 1_000);
        // The largest one passes at any rate.
        let mut slow = Account::new(EGRESS_RATE_MIN, begun);
        assert!(slow.take(SEALED_DATAGRAM_BYTES_MAX as u64, begun));
        assert!(!slow.take(1, begun));
    }

    #[test]
    fn what_was_sent_too_much_is_waited_for() {
        let begun = Instant::now();
        let mut account = Account::new(1_000_000, begun);
        assert!(!account.count(100_000, begun));
        assert_eq!(account.wait(begun), Duration::ZERO);
        assert!(account.count(500_000, begun));
        assert_eq!(account.wait(begun), Duration::ZERO);
        assert!(account.count(2_000_000, begun));
        assert_eq!(account.wait(begun), Duration::from_secs(2));
        let later = begun + Duration::from_millis(1_500);
        assert_eq!(account.wait(later), Duration::from_millis(500));
        assert!(!account.take(1, later));
        assert!(account.count(u64::MAX, later));
        assert!(account.wait(later) > Duration::from_secs(1_000));
    }
}
