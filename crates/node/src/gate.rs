//! Who may run now: admission of calls, the earliest deadline first within a function, in turn between functions.
//!
//! A call that another one makes goes before those from outside, and takes none of their room: its caller waits for it,
//! and gives up its own room only afterwards.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

/// The gate of a node: so many calls from outside at once, over all functions together.
pub(crate) struct Gate {
    state: Mutex<State>,
}

/// One function's place at a gate.
#[derive(Clone)]
pub(crate) struct Place {
    gate: Arc<Gate>,
    index: usize,
}

struct State {
    /// Those from outside.
    running: u32,
    running_max: u32,
    queues: Vec<Queue>,
    /// Whose turn it is when a call ends.
    next: usize,
    /// Tells calls with the same deadline apart: first come, first served.
    sequence: u64,
}

struct Queue {
    running: u32,
    concurrency: u32,
    /// Those that other calls wait for.
    inner: BinaryHeap<Reverse<Waiting>>,
    outer: BinaryHeap<Reverse<Waiting>>,
    waiting_max: usize,
}

/// Where a call comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Outside,
    Inside,
}

struct Waiting {
    deadline: Instant,
    sequence: u64,
    admit: oneshot::Sender<Permit>,
}

/// The right to run one call. It ends when this is dropped.
pub(crate) struct Permit {
    place: Option<Place>,
    from: Origin,
}

/// Why a call is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The queue is full.
    Busy,
    /// The deadline came first.
    Late,
}

impl Gate {
    pub(crate) fn new(running_max: u32) -> Arc<Self> {
        let state = State { running: 0, running_max, queues: Vec::new(), next: 0, sequence: 0 };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// A place for one more function: so many calls of it at once, and so many that wait.
    pub(crate) fn place(self: &Arc<Self>, concurrency: u32, waiting_max: usize) -> Place {
        let mut state = self.state();
        let (inner, outer) = (BinaryHeap::new(), BinaryHeap::new());
        state.queues.push(Queue { running: 0, concurrency, inner, outer, waiting_max });
        Place { gate: Arc::clone(self), index: state.queues.len() - 1 }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits for the right to run a call that nobody wants after `deadline`.
    ///
    /// # Errors
    /// When the queue is full, or the deadline passes.
    pub(crate) async fn enter(&self, from: Origin, deadline: Instant) -> Result<Permit, Refused> {
        let admitted = {
            let mut state = self.gate.state();
            let room = from == Origin::Inside || state.running < state.running_max;
            let queue = &mut state.queues[self.index];
            if room && queue.running < queue.concurrency && queue.nobody_waits(from) {
                state.begin(self.index, from);
                return Ok(Permit { place: Some(self.clone()), from });
            }
            if queue.waiting() >= queue.waiting_max {
                queue.forget();
            }
            if queue.waiting() >= queue.waiting_max {
                return Err(Refused::Busy);
            }
            let (admit, admitted) = oneshot::channel();
            state.sequence += 1;
            let waiting = Reverse(Waiting { deadline, sequence: state.sequence, admit });
            let queue = &mut state.queues[self.index];
            match from {
                Origin::Inside => queue.inner.push(waiting),
                Origin::Outside => queue.outer.push(waiting),
            }
            admitted
        };
        match tokio::time::timeout_at(deadline.into(), admitted).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Refused::Late),
        }
    }

    /// Calls that run, and calls that wait.
    pub(crate) fn load(&self) -> (u32, usize) {
        let state = self.gate.state();
        let queue = &state.queues[self.index];
        (queue.running, queue.waiting())
    }

    /// Ends one call, and begins those that may begin now.
    fn leave(&self, from: Origin) {
        let mut state = self.gate.state();
        state.end(self.index, from);
        while let Some((index, from, waiting)) = state.next_waiting() {
            state.begin(index, from);
            let permit = Permit { place: Some(Place { gate: Arc::clone(&self.gate), index }), from };
            if let Err(mut permit) = waiting.admit.send(permit) {
                // Its caller has gone. The permit must not come back through `drop`, which would wait for the lock.
                state.end(index, from);
                permit.place = None;
            }
        }
    }
}

impl State {
    fn begin(&mut self, index: usize, from: Origin) {
        self.queues[index].running += 1;
        self.running += u32::from(from == Origin::Outside);
    }

    fn end(&mut self, index: usize, from: Origin) {
        self.queues[index].running -= 1;
        self.running -= u32::from(from == Origin::Outside);
    }

    /// The most urgent call of the next function, in turn, that may run one more.
    fn next_waiting(&mut self) -> Option<(usize, Origin, Waiting)> {
        let count = self.queues.len();
        let room = self.running < self.running_max;
        for step in 0..count {
            let index = (self.next + step) % count;
            let queue = &mut self.queues[index];
            if queue.running >= queue.concurrency {
                continue;
            }
            let inner = queue.inner.pop().map(|waiting| (Origin::Inside, waiting));
            let next =
                inner.or_else(|| room.then(|| queue.outer.pop())?.map(|waiting| (Origin::Outside, waiting)));
            if let Some((from, Reverse(waiting))) = next {
                self.next = (index + 1) % count;
                return Some((index, from, waiting));
            }
        }
        None
    }
}

impl Queue {
    fn waiting(&self) -> usize {
        self.inner.len() + self.outer.len()
    }

    /// Whether a call would pass by nobody who comes before it.
    fn nobody_waits(&self, from: Origin) -> bool {
        self.inner.is_empty() && (from == Origin::Inside || self.outer.is_empty())
    }

    /// Frees the places of those who left because their deadline came.
    fn forget(&mut self) {
        for waiting in [&mut self.inner, &mut self.outer] {
            waiting.retain(|Reverse(waiting)| !waiting.admit.is_closed());
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            place.leave(self.from);
        }
    }
}

impl Waiting {
    fn rank(&self) -> (Instant, u64) {
        (self.deadline, self.sequence)
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Waiting {}

#[cfg(test)]
mod tests {
    use super::{Gate, Origin, Permit, Place, Refused};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};
    use tokio::task::JoinHandle;

    fn after(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    /// Waits at `place` and says its name and turn.
    fn wait(place: &Place, deadline: Instant, turn: &Arc<AtomicUsize>) -> JoinHandle<Result<usize, Refused>> {
        let (place, turn) = (place.clone(), Arc::clone(turn));
        tokio::spawn(async move {
            let _permit: Permit = place.enter(Origin::Outside, deadline).await?;
            Ok(turn.fetch_add(1, Ordering::SeqCst))
        })
    }

    #[tokio::test]
    async fn the_earliest_deadline_runs_first() {
        let gate = Gate::new(10);
        let place = gate.place(1, 10);
        let turn = Arc::new(AtomicUsize::new(0));
        let first = place.enter(Origin::Outside, after(60)).await.expect("free");
        let calls: Vec<_> = [50, 20, 40, 30].map(|seconds| wait(&place, after(seconds), &turn)).into();
        while place.load().1 < 4 {
            tokio::task::yield_now().await;
        }
        drop(first);
        let mut turns = Vec::new();
        for call in calls {
            turns.push(call.await.expect("no panic").expect("admitted"));
        }
        assert_eq!(turns, [3, 0, 2, 1]);
        assert_eq!(place.load(), (0, 0));
    }

    #[tokio::test]
    async fn functions_take_turns() {
        let gate = Gate::new(1);
        let (busy, calm) = (gate.place(5, 10), gate.place(5, 10));
        let turn = Arc::new(AtomicUsize::new(0));
        let first = busy.enter(Origin::Outside, after(60)).await.expect("free");
        let flood: Vec<_> = (0..5).map(|_| wait(&busy, after(10), &turn)).collect();
        while busy.load().1 < 5 {
            tokio::task::yield_now().await;
        }
        // It came last, and is the least urgent.
        let other = wait(&calm, after(60), &turn);
        while calm.load().1 < 1 {
            tokio::task::yield_now().await;
        }
        drop(first);
        assert!(other.await.expect("no panic").expect("admitted") <= 1);
        for call in flood {
            call.await.expect("no panic").expect("admitted");
        }
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_deadline_ends_the_wait() {
        let gate = Gate::new(1);
        let place = gate.place(1, 1);
        let running = place.enter(Origin::Outside, after(60)).await.expect("free");
        let (late, busy) =
            tokio::join!(place.enter(Origin::Outside, Instant::now() + Duration::from_millis(1)), async {
                tokio::task::yield_now().await;
                place.enter(Origin::Outside, after(60)).await.err()
            });
        assert_eq!(late.err(), Some(Refused::Late));
        assert_eq!(busy, Some(Refused::Busy));
        // The place of the one that left is free again.
        let turn = Arc::new(AtomicUsize::new(0));
        let next = wait(&place, after(60), &turn);
        tokio::task::yield_now().await;
        drop(running);
        assert_eq!(next.await.expect("no panic"), Ok(0));
        assert_eq!(place.load(), (0, 0));
    }

    #[tokio::test]
    async fn a_call_that_others_wait_for_goes_first_and_needs_no_room() {
        let gate = Gate::new(2);
        let (front, back) = (gate.place(2, 10), gate.place(1, 10));
        let caller = front.enter(Origin::Outside, after(60)).await.expect("free");
        let other = back.enter(Origin::Outside, after(60)).await.expect("free");
        // All the room is taken, and someone from outside waits already, with more haste.
        let turn = Arc::new(AtomicUsize::new(0));
        let outside = wait(&back, after(10), &turn);
        while back.load().1 < 1 {
            tokio::task::yield_now().await;
        }
        let inside = {
            let back = back.clone();
            tokio::spawn(async move { back.enter(Origin::Inside, after(60)).await })
        };
        while back.load().1 < 2 {
            tokio::task::yield_now().await;
        }
        drop(other);
        let inside = inside.await.expect("no panic").expect("admitted");
        assert_eq!(back.load(), (1, 1));
        // Where a function has room of its own, no room of the node is needed.
        drop(front.enter(Origin::Inside, after(60)).await.expect("free"));
        drop((inside, caller));
        assert_eq!(outside.await.expect("no panic"), Ok(0));
        assert_eq!((front.load(), back.load()), ((0, 0), (0, 0)));
    }
}
