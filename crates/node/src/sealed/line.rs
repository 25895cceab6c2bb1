//! Messages between a sealed process and its node: questions in both directions, and their answers in any order.
//!
//! A message is its length, a number, and what it says (postcard). An answer has the number of its question, and the
//! highest bit; what is not wanted any more has that number and the next bit. The node reads each as one from an enemy:
//! how much of it there may be is bounded.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::{AbortHandle, yield_now};

use crate::limits::{
    WORKER_ANSWERS_BYTES_MAX, WORKER_AWAKE_MAX, WORKER_MESSAGE_BYTES_MAX, WORKER_QUESTION_BYTES,
    WORKER_QUESTIONS_BYTES_MAX, WORKER_SOON,
};

/// Bytes before what a message says.
pub(super) const HEAD_BYTES: usize = 12;

/// Set in the number of an answer.
const ANSWER: u64 = 1 << 63;

/// Set in the number of a question that is not to be answered any more.
const CANCEL: u64 = 1 << 62;

/// There is no answer: the other side is gone, or does not say what it should.
#[derive(Debug, thiserror::Error)]
#[error("the other process does not answer")]
pub(super) struct Gone;

/// One end.
pub(super) struct Line {
    to: tokio::sync::Mutex<OwnedWriteHalf>,
    asked: Mutex<Asked>,
    /// Bytes of answers that the other side has not taken yet.
    unsent: AtomicUsize,
    broken: Notify,
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
    line: &'a Arc<Line>,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.line.asked().waiting.remove(&self.number).is_some() {
            self.line.send(framed(self.number | CANCEL, &[]));
        }
    }
}

impl Line {
    /// An end, and where it reads.
    pub(super) fn new(stream: UnixStream) -> (Arc<Self>, OwnedReadHalf) {
        let (from, to) = stream.into_split();
        let (to, asked) = (tokio::sync::Mutex::new(to), Mutex::default());
        (Arc::new(Self { to, asked, unsent: AtomicUsize::new(0), broken: Notify::new() }), from)
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        locked(&self.asked)
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask<R: DeserializeOwned>(
        self: &Arc<Self>,
        question: &impl Serialize,
    ) -> Result<R, Gone> {
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
        self.send(message(number, question).map_err(|_| Gone)?);
        read(&answered.await.map_err(|_| Gone)?)
    }

    /// Sends a message in a task of its own: whoever does not wait for it any more must not leave half of it on the line.
    fn send(self: &Arc<Self>, message: Vec<u8>) {
        // Where nothing runs any more, nobody is left to be told.
        if let Ok(runtime) = Handle::try_current() {
            let line = Arc::clone(self);
            runtime.spawn(async move { line.write(&message).await });
        }
    }

    async fn write(&self, message: &[u8]) {
        if self.to.lock().await.write_all(message).await.is_err() {
            self.broken.notify_one();
        }
    }

    /// Whether nothing is answered any more.
    pub(super) fn is_closed(&self) -> bool {
        self.asked().is_closed
    }

    async fn answer(&self, number: u64, answer: &[u8]) {
        // Who asks, and takes no answers, is no use, or means harm.
        let unsent = self.unsent.fetch_add(answer.len(), Ordering::Relaxed) + answer.len();
        match unsent <= WORKER_ANSWERS_BYTES_MAX {
            true => self.write(&framed(number | ANSWER, answer)).await,
            false => self.broken.notify_one(),
        }
        self.unsent.fetch_sub(answer.len(), Ordering::Relaxed);
    }

    /// Reads until nothing comes any more, and has each question answered in a task of its own.
    pub(super) async fn serve<F>(self: Arc<Self>, from: OwnedReadHalf, answer: impl Fn(Vec<u8>) -> F)
    where
        F: Future<Output = Vec<u8>> + Send + 'static,
    {
        let room = Arc::new(Semaphore::new(WORKER_QUESTIONS_BYTES_MAX));
        let running = Arc::new(Mutex::new(HashMap::<u64, AbortHandle>::new()));
        let mut from = BufReader::new(from);
        let mut patience = Patience::default();
        let reading = async {
            while let Ok((number, said)) = patience.wait(receive(&mut from)).await {
                if number & ANSWER != 0 {
                    let waiting = self.asked().waiting.remove(&(number & !ANSWER));
                    // Nobody may wait for it any more.
                    let _ = waiting.map(|waiting| waiting.send(said));
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
                let (line, answering) = (Arc::clone(&self), answer(said));
                let done = Arc::clone(&running);
                // Nobody is done before it is known that he began.
                let mut running = locked(&running);
                let task = tokio::spawn(async move {
                    let answer = answering.await;
                    // Who was cancelled has no place any more, and is ended anywhere: it must not begin to write.
                    if locked(&done).remove(&number).is_some() {
                        line.answer(number, &answer).await;
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
        let mut asked = self.asked();
        asked.is_closed = true;
        asked.waiting.clear();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads questions until none comes any more, and answers each before it reads the next.
pub(super) async fn serve_in_turn<F>(stream: UnixStream, answer: impl Fn(Vec<u8>) -> F)
where
    F: Future<Output = Vec<u8>>,
{
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from);
    let mut patience = Patience::default();
    while let Ok((number, said)) = patience.wait(receive(&mut from)).await {
        if to.write_all(&framed(number, &answer(said).await)).await.is_err() {
            return;
        }
    }
}

/// How to wait for a message. A processor that has nothing to do sleeps, and to wake it takes longer than most calls: where
/// one message follows soon after the other, who waits for the next looks for it, for a while.
#[derive(Default)]
struct Patience {
    /// Whether the last message came soon.
    is_awake: bool,
}

impl Patience {
    async fn wait<T>(&mut self, message: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let mut message = std::pin::pin!(message);
        while self.is_awake && begun.elapsed() < WORKER_AWAKE_MAX {
            if let Poll::Ready(come) = futures_util::poll!(message.as_mut()) {
                return come;
            }
            yield_now().await;
        }
        let come = message.await;
        self.is_awake = begun.elapsed() < WORKER_SOON;
        come
    }
}

/// The next message: its number, and what it says.
async fn receive(from: &mut BufReader<OwnedReadHalf>) -> io::Result<(u64, Vec<u8>)> {
    let mut head = [0; HEAD_BYTES];
    from.read_exact(&mut head).await?;
    let (length, number) = parse(head)?;
    let mut said = Vec::new();
    // It takes no more room than has come.
    let read = from.take(length as u64).read_to_end(&mut said).await?;
    match read == length {
        true => Ok((number, said)),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The length of a message, and its number.
pub(super) fn parse(head: [u8; HEAD_BYTES]) -> io::Result<(usize, u64)> {
    let [a, b, c, d, number @ ..] = head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    match length <= WORKER_MESSAGE_BYTES_MAX {
        true => Ok((length, u64::from_le_bytes(number))),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// A message that says `what`.
pub(super) fn message(number: u64, what: &impl Serialize) -> io::Result<Vec<u8>> {
    let said = written(what)?;
    match said.len() <= WORKER_MESSAGE_BYTES_MAX {
        true => Ok(framed(number, &said)),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn framed(number: u64, said: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEAD_BYTES + said.len());
    message.extend((said.len() as u32).to_le_bytes());
    message.extend(number.to_le_bytes());
    message.extend(said);
    message
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
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// An end that says what it was asked, backwards, and the other end as bytes.
    fn echo() -> (Arc<Line>, tokio::task::JoinHandle<()>, UnixStream) {
        let (here, there) = UnixStream::pair().expect("a pair of sockets");
        let (line, from) = Line::new(here);
        let serving = tokio::spawn(Arc::clone(&line).serve(from, |mut said| async move {
            if said == b"for ever" {
                std::future::pending::<()>().await;
            }
            said.reverse();
            said
        }));
        (line, serving, there)
    }

    fn head(length: u32, number: u64) -> Vec<u8> {
        [&length.to_le_bytes()[..], &number.to_le_bytes()].concat()
    }

    async fn answer(stream: &mut UnixStream) -> (u64, Vec<u8>) {
        let mut head = [0; HEAD_BYTES];
        timeout(Duration::from_secs(60), stream.read_exact(&mut head))
            .await
            .expect("in time")
            .expect("a head");
        let (length, number) = parse(head).expect("a head");
        let mut said = vec![0; length];
        stream.read_exact(&mut said).await.expect("an answer");
        (number, said)
    }

    #[tokio::test]
    async fn questions_are_answered_in_any_order_and_both_ways() {
        let (line, serving, there) = echo();
        let (other, from) = Line::new(there);
        let answering = tokio::spawn(Arc::clone(&other).serve(from, |said| async move { said }));
        let (one, two) = tokio::join!(line.ask::<String>(&"there"), line.ask::<String>(&"and back"));
        assert_eq!((one.ok().as_deref(), two.ok().as_deref()), (Some("there"), Some("and back")));
        answering.abort();
        drop((other, answering.await));
        serving.await.expect("it ends with the other side");
        assert!(line.ask::<String>(&"nobody").await.is_err());
    }

    #[tokio::test]
    async fn what_is_not_wanted_any_more_ends() {
        let (_line, _serving, mut there) = echo();
        there.write_all(&framed(7, b"for ever")).await.expect("written");
        there.write_all(&framed(7 | CANCEL, b"")).await.expect("written");
        // What was never asked, and what has ended.
        there.write_all(&framed(8 | CANCEL, b"")).await.expect("written");
        there.write_all(&framed(9, b"abc")).await.expect("written");
        assert_eq!(answer(&mut there).await, (9 | ANSWER, b"cba".to_vec()));
    }

    #[tokio::test]
    async fn who_goes_away_leaves_no_half_message() {
        let (here, there) = UnixStream::pair().expect("a pair of sockets");
        let (line, from) = Line::new(here);
        tokio::spawn(Arc::clone(&line).serve(from, |said| async move { said }));
        // More than the socket takes, while nobody reads.
        let large = "x".repeat(8 << 20);
        let mut asking = Box::pin(line.ask::<String>(&large));
        for _ in 0..100 {
            assert!(futures_util::poll!(asking.as_mut()).is_pending());
            yield_now().await;
        }
        drop(asking);
        let (other, from) = Line::new(there);
        tokio::spawn(other.serve(from, |said| async move { said }));
        assert_eq!(line.ask::<String>(&"there").await.ok().as_deref(), Some("there"));
    }

    #[tokio::test]
    async fn nonsense_ends_the_line_and_nothing_else() {
        for nonsense in [head(WORKER_MESSAGE_BYTES_MAX as u32 + 1, 1), head(u32::MAX, ANSWER), head(9, 1)] {
            let (line, serving, mut there) = echo();
            // Answers that nobody asked for do no harm.
            there.write_all(&framed(ANSWER | 3, b"yes")).await.expect("written");
            there.write_all(&nonsense).await.expect("written");
            drop(there);
            timeout(Duration::from_secs(60), serving).await.expect("in time").expect("no panic");
            assert!(line.ask::<()>(&1).await.is_err());
        }
    }

    #[tokio::test]
    async fn who_takes_no_answers_is_let_go() {
        let (line, serving, mut there) = echo();
        line.unsent.store(WORKER_ANSWERS_BYTES_MAX, Ordering::Relaxed);
        there.write_all(&framed(1, b"one more")).await.expect("written");
        timeout(Duration::from_secs(60), serving).await.expect("in time").expect("no panic");
    }
}
