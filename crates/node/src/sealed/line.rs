//! Messages between a sealed process and its node: questions in both directions, and their answers in any order.
//!
//! A message has a number, and what it says (postcard). An answer has the number of its question, and the highest bit;
//! what is not wanted any more has that number and the next bit. Messages are in [memory](super::ring) that both share; a
//! socket, by which whoever sleeps is woken, tells when the other side is gone. The node reads each message as one from an
//! enemy: how much of it there may be is bounded.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream as Socket;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::Poll;
use std::thread;
use std::time::Instant;

use engine::sealed::Shared;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::{AbortHandle, coop, yield_now};

use super::ring::{self, Incoming, Nonsense, Outgoing, Side};
use crate::limits::{
    WORKER_ANSWERS_BYTES_MAX, WORKER_AWAKE_MAX, WORKER_LOOKS, WORKER_MESSAGE_BYTES_MAX,
    WORKER_QUESTION_BYTES, WORKER_QUESTIONS_BYTES_MAX, WORKER_SOON, WORKER_UNLOOKED_MAX,
};

/// Set in the number of an answer.
const ANSWER: u64 = 1 << 63;

/// Set in the number of a question that is not to be answered any more.
const CANCEL: u64 = 1 << 62;

/// Bytes of a socket that are read at a time: each says no more than any other.
const BELLS: usize = 64;

/// There is no answer: the other side is gone, or does not say what it should.
#[derive(Debug, thiserror::Error)]
#[error("the other process does not answer")]
pub(super) struct Gone;

impl From<Nonsense> for Gone {
    fn from(_: Nonsense) -> Self {
        Self
    }
}

impl From<io::Error> for Gone {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// One end.
pub(super) struct Line {
    to: Mutex<Outgoing>,
    /// Read by whoever serves, and for a moment by who asks.
    from: Mutex<Incoming>,
    /// Rings at the other side.
    bell: Socket,
    asked: Mutex<Asked>,
    broken: Notify,
    /// Something has come for who serves, while another read.
    left: Notify,
    /// Questions whose answers are not looked for by who asks them.
    unlooked: AtomicU32,
    /// How many that were when it came to that last, and so twice as many next time; fewer once an answer was found.
    misses: AtomicU32,
}

/// Where an end is woken.
pub(super) struct Ear {
    bell: UnixStream,
    /// Whether the last message came soon.
    is_awake: bool,
}

/// Questions that have no answer yet, by their numbers.
#[derive(Default)]
struct Asked {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Vec<u8>>>,
    is_closed: bool,
}

/// A question that nobody waits for any more is forgotten, on both sides.
struct Waiting<'a> {
    line: &'a Line,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.line.asked().waiting.remove(&self.number).is_some() {
            self.line.send(self.number | CANCEL, Vec::new());
        }
    }
}

/// Whoever serves ends, or is ended: nobody is answered any more.
struct Closing<'a>(&'a Line);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut asked = self.0.asked();
        asked.is_closed = true;
        asked.waiting.clear();
    }
}

impl Line {
    /// An end, and where it reads. In a runtime, whose thread is to read it.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub(super) fn new(socket: Socket, memory: Shared, side: Side) -> io::Result<(Arc<Self>, Ear)> {
        socket.set_nonblocking(true)?;
        let bell = socket.try_clone()?;
        let (from, to) = ring::ends(memory, side);
        let line = Self {
            to: Mutex::new(to),
            from: Mutex::new(from),
            bell,
            asked: Mutex::default(),
            broken: Notify::new(),
            left: Notify::new(),
            unlooked: AtomicU32::new(0),
            misses: AtomicU32::new(0),
        };
        Ok((Arc::new(line), Ear { bell: UnixStream::from_std(socket)?, is_awake: false }))
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        locked(&self.asked)
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask<R: DeserializeOwned>(&self, question: &impl Serialize) -> Result<R, Gone> {
        let question = message(question)?;
        let (answer, answered) = oneshot::channel();
        let number = {
            let mut asked = self.asked();
            if asked.is_closed {
                return Err(Gone);
            }
            asked.last += 1;
            let number = asked.last;
            asked.waiting.insert(number, answer);
            number
        };
        let _waiting = Waiting { line: self, number };
        let was_awake = !self.send(number, question);
        if let Some(said) = was_awake.then(|| self.look_for(number)).flatten() {
            return read(&said);
        }
        read(&answered.await.map_err(|_| Gone)?)
    }

    /// The answer to a question, if it comes soon. Who asks keeps its thread meanwhile: to wake it by another takes longer
    /// than most calls. Not where others wait for answers, too, nor for a while after answers that did not come soon.
    fn look_for(&self, number: u64) -> Option<Vec<u8>> {
        let unlooked = self.unlooked.load(Ordering::Relaxed);
        if unlooked > 0 {
            self.unlooked.store(unlooked - 1, Ordering::Relaxed);
            return None;
        }
        if self.asked().waiting.len() > 1 {
            return None;
        }
        let mut from = try_locked(&self.from)?;
        // Nobody is to be woken for what is found here.
        let slept = from.wake();
        let found = self.look_in(&mut from, number);
        if slept && !from.sleep() {
            self.left.notify_one();
        }
        found
    }

    fn look_in(&self, from: &mut Incoming, number: u64) -> Option<Vec<u8>> {
        let begun = Instant::now();
        loop {
            match from.number() {
                Ok(Some(next)) if next & ANSWER != 0 => match from.receive().ok()? {
                    Some((next, said)) if next == number | ANSWER => {
                        self.asked().waiting.remove(&number);
                        self.misses.store(0, Ordering::Relaxed);
                        return Some(said);
                    }
                    Some((next, said)) => self.hand_on(next, said),
                    None => {}
                },
                Ok(None) => {}
                // What is no answer, and what makes no sense, is for who serves.
                Ok(Some(_)) | Err(Nonsense) => return None,
            }
            if from.is_awaited() {
                self.ring();
            }
            if begun.elapsed() >= WORKER_AWAKE_MAX {
                let misses = (self.misses.load(Ordering::Relaxed) * 2).clamp(1, WORKER_UNLOOKED_MAX);
                self.misses.store(misses, Ordering::Relaxed);
                self.unlooked.store(misses, Ordering::Relaxed);
                return None;
            }
            look(from);
            // The answer may have to be found on this very processor.
            thread::yield_now();
        }
    }

    /// Gives an answer to who waits for it.
    fn hand_on(&self, number: u64, said: Vec<u8>) {
        let waiting = self.asked().waiting.remove(&(number & !ANSWER));
        // Nobody may wait for it any more.
        let _ = waiting.map(|waiting| waiting.send(said));
    }

    /// Sends a message, after those that were sent before: at once as much of it as there is room for. Whether the other side
    /// had to be woken.
    fn send(&self, number: u64, said: Vec<u8>) -> bool {
        let mut to = locked(&self.to);
        to.push(number, said);
        self.write(&mut to)
    }

    fn write(&self, to: &mut Outgoing) -> bool {
        let sleeps = to.write();
        match sleeps {
            Ok(true) => self.ring(),
            Ok(false) => {}
            Err(Nonsense) => self.broken.notify_one(),
        }
        matches!(sleeps, Ok(true))
    }

    fn ring(&self) {
        // Where nothing fits in, the other side has not heard of what came before. That it is gone, who reads will see.
        let _ = (&self.bell).write(&[0]);
    }

    /// Whether nothing is answered any more.
    pub(super) fn is_closed(&self) -> bool {
        self.asked().is_closed
    }

    fn answer(&self, number: u64, answer: Vec<u8>) {
        let mut to = locked(&self.to);
        to.push(number | ANSWER, answer);
        self.write(&mut to);
        // Who asks, and takes no answers, is no use, or means harm.
        if to.bytes() > WORKER_ANSWERS_BYTES_MAX {
            self.broken.notify_one();
        }
    }

    /// Reads until nothing comes any more, and has each question answered: those that take time in tasks of their own.
    pub(super) async fn serve<F>(self: Arc<Self>, mut ear: Ear, answer: impl Fn(Vec<u8>) -> F)
    where
        F: Future<Output = Vec<u8>> + Send + 'static,
    {
        let _closing = Closing(&self);
        let room = Arc::new(Semaphore::new(WORKER_QUESTIONS_BYTES_MAX));
        let running = Arc::new(Mutex::new(HashMap::<u64, AbortHandle>::new()));
        let reading = async {
            while let Ok((number, said)) = self.receive(&mut ear).await {
                if number & ANSWER != 0 {
                    self.hand_on(number, said);
                    continue;
                }
                if number & CANCEL != 0 {
                    if let Some(task) = locked(&running).remove(&(number & !CANCEL)) {
                        task.abort();
                    }
                    continue;
                }
                let bytes = (said.len() + WORKER_QUESTION_BYTES) as u32;
                let Ok(taken) = Arc::clone(&room).acquire_many_owned(bytes).await else { return };
                let mut answering = Box::pin(answer(said));
                // Most answers are there at once, and so questions are begun in their order.
                if let Poll::Ready(answer) = futures_util::poll!(answering.as_mut()) {
                    self.answer(number, answer);
                    continue;
                }
                let (line, done) = (Arc::clone(&self), Arc::clone(&running));
                // Nobody is done before it is known that he began.
                let mut running = locked(&running);
                let task = tokio::spawn(async move {
                    let answer = answering.await;
                    // Who was cancelled has no place any more, and is ended anywhere.
                    if locked(&done).remove(&number).is_some() {
                        line.answer(number, answer);
                    }
                    drop(taken);
                });
                running.insert(number, task.abort_handle());
            }
        };
        tokio::select! {
            () = reading => {}
            () = self.broken.notified() => {}
        }
    }

    /// The next message. Writes what waits for room, too.
    ///
    /// A processor that has nothing to do sleeps, and to wake it takes longer than most calls: where one message follows
    /// soon after the other, who waits for the next looks for it, for a while.
    async fn receive(&self, ear: &mut Ear) -> Result<(u64, Vec<u8>), Gone> {
        // Others have a turn, however much there is to read.
        coop::consume_budget().await;
        let begun = Instant::now();
        loop {
            match self.hear(ear.is_awake && begun.elapsed() < WORKER_AWAKE_MAX)? {
                Heard::Message(number, said) => {
                    ear.is_awake = begun.elapsed() < WORKER_SOON;
                    return Ok((number, said));
                }
                Heard::Nothing => {
                    // What is to come may have to be made on this very processor.
                    thread::yield_now();
                    yield_now().await;
                }
                Heard::Asleep => {
                    tokio::select! {
                        rung = ear.bell.readable() => rung?,
                        () = self.left.notified() => continue,
                    }
                    match ear.bell.try_read(&mut [0; BELLS]) {
                        Ok(0) => return Err(Gone),
                        Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(Gone),
                        _ => {}
                    }
                }
            }
        }
    }

    /// Reads, and writes what waits for room. Where nothing has come, this side sleeps from then on, if it is not to stay awake.
    fn hear(&self, stays_awake: bool) -> Result<Heard, Gone> {
        // Who asks reads just now.
        let Some(mut from) = try_locked(&self.from) else { return Ok(Heard::Nothing) };
        from.wake();
        let received = from.receive()?;
        if from.is_awaited() {
            self.ring();
        }
        if let Some((number, said)) = received {
            return Ok(Heard::Message(number, said));
        }
        self.write(&mut locked(&self.to));
        if stays_awake {
            look(&from);
            return Ok(Heard::Nothing);
        }
        Ok(if from.sleep() { Heard::Asleep } else { Heard::Nothing })
    }
}

/// What an end finds where it reads.
enum Heard {
    Message(u64, Vec<u8>),
    Nothing,
    /// Nothing, and it is to wait until it is woken.
    Asleep,
}

/// Looks a few times whether something has come.
fn look(from: &Incoming) {
    for _ in 0..WORKER_LOOKS {
        if !from.is_empty() {
            return;
        }
        std::hint::spin_loop();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As [`locked`], where nobody else has it.
fn try_locked<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(locked) => Some(locked),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// An end for those who can do nothing else while they wait: one question at a time.
pub(super) struct Direct {
    from: Incoming,
    to: Outgoing,
    bell: Socket,
    last: u64,
}

impl Direct {
    pub(super) fn new(socket: Socket, memory: Shared, side: Side) -> Self {
        let (from, to) = ring::ends(memory, side);
        Self { from, to, bell: socket, last: 0 }
    }

    /// Asks, and waits for the answer.
    pub(super) fn ask<R: DeserializeOwned>(&mut self, question: &impl Serialize) -> Result<R, Gone> {
        self.last += 1;
        self.to.push(self.last, message(question)?);
        let begun = Instant::now();
        loop {
            if self.to.write()? {
                self.bell.write_all(&[0])?;
            }
            let received = self.from.receive()?;
            if self.from.is_awaited() {
                self.bell.write_all(&[0])?;
            }
            match received {
                Some((number, said)) if number == self.last | ANSWER => return read(&said),
                Some(_) => {}
                None if begun.elapsed() < WORKER_AWAKE_MAX => {
                    look(&self.from);
                    // The answer may have to be found on this very processor.
                    thread::yield_now();
                }
                None if self.from.sleep() => {
                    let read = self.bell.read(&mut [0; BELLS]);
                    self.from.wake();
                    match read {
                        Ok(0) => return Err(Gone),
                        Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(Gone),
                        _ => {}
                    }
                }
                None => {}
            }
        }
    }
}

/// What a message says.
fn message(what: &impl Serialize) -> io::Result<Vec<u8>> {
    let said = written(what)?;
    match said.len() <= WORKER_MESSAGE_BYTES_MAX {
        true => Ok(said),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// What is said, as bytes.
pub(super) fn written(what: &impl Serialize) -> io::Result<Vec<u8>> {
    postcard::to_allocvec(what).map_err(io::Error::other)
}

/// What bytes say.
pub(super) fn read<T: DeserializeOwned>(said: &[u8]) -> Result<T, Gone> {
    postcard::from_bytes(said).map_err(|_| Gone)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// The other end, as an enemy has it.
    struct Other {
        socket: Socket,
        memory: Shared,
        from: Incoming,
        to: Outgoing,
    }

    impl Other {
        fn say(&mut self, number: u64, said: &[u8]) {
            self.to.push(number, said.to_vec());
            self.to.write().expect("the node lies not");
            self.ring();
        }

        fn ring(&self) {
            (&self.socket).write_all(&[0]).expect("it is heard");
        }

        async fn hear(&mut self) -> (u64, Vec<u8>) {
            let hearing = async {
                loop {
                    match self.from.receive().expect("the node lies not") {
                        Some(message) => return message,
                        None => yield_now().await,
                    }
                }
            };
            timeout(Duration::from_secs(60), hearing).await.expect("in time")
        }

        fn line(self) -> (Arc<Line>, Ear) {
            Line::new(self.socket, self.memory, Side::Worker).expect("a line")
        }
    }

    fn line() -> ((Arc<Line>, Ear), Other) {
        let (ours, theirs) = Socket::pair().expect("a pair of sockets");
        let (memory, file) = Shared::new(ring::WORDS).expect("memory");
        let map = || Shared::map(file.as_fd(), ring::WORDS).expect("the same memory");
        let (from, to) = ring::ends(map(), Side::Worker);
        let other = Other { socket: theirs, memory: map(), from, to };
        (Line::new(ours, memory, Side::Node).expect("a line"), other)
    }

    /// An end that says what it was asked, backwards.
    fn echo() -> (Arc<Line>, tokio::task::JoinHandle<()>, Other) {
        let ((line, ear), other) = line();
        let serving = tokio::spawn(Arc::clone(&line).serve(ear, |mut said| async move {
            if said == b"for ever" {
                std::future::pending::<()>().await;
            }
            said.reverse();
            said
        }));
        (line, serving, other)
    }

    #[tokio::test]
    async fn questions_are_answered_in_any_order_and_both_ways() {
        let (line, serving, other) = echo();
        let (other, ear) = other.line();
        let answering = tokio::spawn(Arc::clone(&other).serve(ear, |said| async move { said }));
        let (one, two) = tokio::join!(line.ask::<String>(&"there"), line.ask::<String>(&"and back"));
        assert_eq!((one.ok().as_deref(), two.ok().as_deref()), (Some("there"), Some("and back")));
        answering.abort();
        let _ = answering.await;
        drop(other);
        serving.await.expect("it ends with the other side");
        assert!(line.ask::<String>(&"nobody").await.is_err());
    }

    #[tokio::test]
    async fn nobody_sleeps_while_there_is_something_to_do() {
        let ((line, ear), other) = line();
        let serving = tokio::spawn(Arc::clone(&line).serve(ear, |said| async move { said }));
        let far = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let (other, ear) = other.line();
                other.serve(ear, |said| async move { said }).await;
            });
        });
        for round in 0..3_000_usize {
            // Some do not fit into the ring, and some come when the other side sleeps.
            let large = "x".repeat(if round % 100 == 0 { 1 << 20 } else { round });
            let asking = timeout(Duration::from_secs(60), line.ask::<String>(&large));
            assert_eq!(asking.await.expect("in time").ok(), Some(large), "{round}");
            if round % 50 == 0 {
                tokio::time::sleep(WORKER_AWAKE_MAX).await;
            }
        }
        line.broken.notify_one();
        serving.await.expect("it ends");
        drop(line);
        far.join().expect("no panic");
    }

    #[tokio::test]
    async fn who_asks_finds_the_answer_and_leaves_questions_to_who_serves() {
        let (line, serving, mut other) = echo();
        // It has nothing to do, and sleeps.
        while other.memory[ring::TO_NODE + ring::SLEEPS].load(Ordering::Relaxed) == 0 {
            yield_now().await;
        }
        // Nobody rings.
        let mut say = |number, said: &[u8]| {
            other.to.push(number, said.to_vec());
            other.to.write().expect("the node lies not");
        };
        let yes = written(&"yes").expect("it is written");
        say(1 | ANSWER, &yes);
        let mut asking = Box::pin(line.ask::<String>(&"first"));
        let Poll::Ready(answer) = futures_util::poll!(asking.as_mut()) else { panic!("it is there") };
        assert_eq!(answer.ok().as_deref(), Some("yes"));
        for (number, question) in [(2, "abc"), (3, "")] {
            say(8 + number, question.as_bytes());
            say(number | ANSWER, &yes);
            let asking = timeout(Duration::from_secs(60), line.ask::<String>(&"another"));
            assert_eq!(asking.await.expect("in time").ok().as_deref(), Some("yes"), "{number}");
        }
        drop(asking);
        let mut heard = Vec::new();
        while heard.len() < 5 {
            heard.push(other.hear().await);
        }
        for answer in [(10 | ANSWER, b"cba".to_vec()), (11 | ANSWER, Vec::new())] {
            assert!(heard.contains(&answer), "{heard:?}");
        }
        drop(other);
        serving.await.expect("it ends with the other side");
    }

    #[tokio::test]
    async fn one_question_at_a_time_is_answered_to_who_waits_for_it() {
        let ((line, ear), other) = line();
        tokio::spawn(Arc::clone(&line).serve(ear, |said| async move { said }));
        let asked = tokio::task::spawn_blocking(move || {
            let mut direct = Direct::new(other.socket, other.memory, Side::Worker);
            // Some do not fit into the ring.
            let questions = (0..200).map(|round| "x".repeat(round * round * 10));
            questions.into_iter().all(|said| direct.ask::<String>(&said).is_ok_and(|heard| heard == said))
        });
        assert!(asked.await.expect("no panic"));
    }

    #[tokio::test]
    async fn what_is_not_wanted_any_more_ends() {
        let (_line, _serving, mut other) = echo();
        other.say(7, b"for ever");
        other.say(7 | CANCEL, b"");
        // What was never asked, and what has ended.
        other.say(8 | CANCEL, b"");
        other.say(9, b"abc");
        assert_eq!(other.hear().await, (9 | ANSWER, b"cba".to_vec()));
    }

    #[tokio::test]
    async fn nobody_waits_for_an_end_that_is_not_served_any_more() {
        let ((line, ear), _other) = line();
        let serving = tokio::spawn(Arc::clone(&line).serve(ear, |said| async move { said }));
        let mut asking = Box::pin(line.ask::<()>(&1));
        assert!(futures_util::poll!(asking.as_mut()).is_pending());
        yield_now().await;
        serving.abort();
        let answer = timeout(Duration::from_secs(60), asking).await.expect("in time");
        assert!(answer.is_err() && line.ask::<()>(&2).await.is_err());
    }

    #[tokio::test]
    async fn who_goes_away_leaves_no_half_message() {
        let ((line, ear), other) = line();
        tokio::spawn(Arc::clone(&line).serve(ear, |said| async move { said }));
        // More than there is room for, while nobody reads.
        let large = "x".repeat(8 << 20);
        let mut asking = Box::pin(line.ask::<String>(&large));
        for _ in 0..100 {
            assert!(futures_util::poll!(asking.as_mut()).is_pending());
            yield_now().await;
        }
        drop(asking);
        let (other, ear) = other.line();
        tokio::spawn(other.serve(ear, |said| async move { said }));
        assert_eq!(line.ask::<String>(&"there").await.ok().as_deref(), Some("there"));
    }

    #[tokio::test]
    async fn lies_end_the_line_and_nothing_else() {
        let lies: [fn(&mut Other); 6] = [
            |other| other.memory[ring::TO_NODE + ring::WRITTEN].store(u64::MAX, Ordering::Release),
            |other| other.memory[ring::TO_NODE + ring::WRITTEN].store(1 << 40, Ordering::Release),
            // Half a head.
            |other| {
                other.memory[ring::TO_NODE + ring::WRITTEN].fetch_add(1, Ordering::Release);
            },
            |other| other.memory[ring::READ].store(1 << 20, Ordering::Release),
            // More than may be said.
            |other| {
                let at = other.memory[ring::TO_NODE + ring::WRITTEN].fetch_add(2, Ordering::AcqRel) as usize;
                other.memory[ring::TO_NODE + ring::FIRST + at]
                    .store(WORKER_MESSAGE_BYTES_MAX as u64 + 1, Ordering::Release);
            },
            |other| other.socket.shutdown(std::net::Shutdown::Both).expect("it is closed"),
        ];
        for (index, lie) in lies.into_iter().enumerate() {
            let (line, serving, mut other) = echo();
            // Answers that nobody asked for do no harm, nor bells, nor who says that he sleeps, or waits, and does not.
            other.say(ANSWER | 3, b"yes");
            for word in [ring::SLEEPS, ring::TO_NODE + ring::WAITS] {
                other.memory[word].store(u64::MAX, Ordering::Relaxed);
            }
            other.say(9, b"abc");
            assert_eq!(other.hear().await, (9 | ANSWER, b"cba".to_vec()));
            lie(&mut other);
            let _ = (&other.socket).write(&[0; 10_000]);
            // Whatever it reads, or writes, next.
            let mut asking = Box::pin(line.ask::<()>(&1));
            let _ = futures_util::poll!(asking.as_mut());
            timeout(Duration::from_secs(60), serving).await.expect("in time").expect("no panic");
            assert!(asking.await.is_err(), "{index}");
        }
    }

    #[tokio::test]
    async fn a_message_without_an_end_takes_no_more_room_than_has_come() {
        let (line, serving, mut other) = echo();
        other.to.push(1, vec![1; WORKER_MESSAGE_BYTES_MAX]);
        let _ = other.to.write();
        other.ring();
        yield_now().await;
        // The line serves the other direction as before, and ends when nobody is there any more.
        let mut asking = Box::pin(line.ask::<String>(&"yes"));
        assert!(futures_util::poll!(asking.as_mut()).is_pending());
        assert_eq!(other.hear().await.1, written(&"yes").expect("it is written"));
        drop(other);
        timeout(Duration::from_secs(60), serving).await.expect("in time").expect("no panic");
        assert!(asking.await.is_err());
    }

    #[tokio::test]
    async fn who_takes_no_answers_is_let_go() {
        let (line, serving, mut other) = echo();
        locked(&line.to).push(ANSWER | 1, vec![0; WORKER_ANSWERS_BYTES_MAX]);
        other.say(1, b"one more");
        timeout(Duration::from_secs(60), serving).await.expect("in time").expect("no panic");
    }
}
