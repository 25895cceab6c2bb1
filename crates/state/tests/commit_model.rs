//! The queue of the group commit under every interleaving of its threads.
//!
//! It is the crate's own file, compiled here with the locks of the model checker.

mod sync {
    pub(crate) use loom::sync::{Condvar, Mutex};
    pub(crate) use std::sync::PoisonError;
}

#[path = "../src/commit.rs"]
mod commit;

use commit::{Queue, Refused};
use loom::sync::Arc;
use loom::thread;

/// Takes until the queue is closed and empty.
fn drain(queue: &Queue<u32>) -> Vec<u32> {
    std::iter::from_fn(|| queue.take()).flatten().collect()
}

#[test]
fn everything_pushed_is_taken_once_and_in_order() {
    loom::model(|| {
        let queue = Arc::new(Queue::new(8, 8));
        let pushers = [vec![10, 11], vec![20]].map(|items| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || items.into_iter().for_each(|item| queue.push(item, 1).unwrap()))
        });
        let mut taken = Vec::new();
        while taken.len() < 3 {
            taken.extend(queue.take().unwrap());
        }
        let [(), ()] = pushers.map(|pusher| pusher.join().unwrap());
        let of = |tens: u32| taken.iter().copied().filter(|item| item / 10 == tens).collect::<Vec<_>>();
        assert_eq!((of(1), of(2)), (vec![10, 11], vec![20]));
    });
}

#[test]
fn a_taker_that_sleeps_is_woken_by_a_push_and_by_closing() {
    loom::model(|| {
        let queue = Arc::new(Queue::new(8, 8));
        let taker = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || (queue.take(), queue.take()))
        };
        queue.push(1, 1).unwrap();
        // Whether the taker saw the first push before the close or after it, it gets the item and then the end.
        queue.close();
        assert_eq!(taker.join().unwrap(), (Some(vec![1]), None));
    });
}

#[test]
fn what_is_accepted_while_it_closes_is_still_taken() {
    loom::model(|| {
        let queue = Arc::new(Queue::new(8, 8));
        let pusher = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.push(1, 1))
        };
        let closer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.close())
        };
        let taken = drain(&queue);
        closer.join().unwrap();
        match pusher.join().unwrap() {
            Ok(()) => assert_eq!(taken, [1]),
            Err(refused) => assert_eq!((refused, taken.len()), (Refused::Closed, 0)),
        }
    });
}

#[test]
fn more_than_the_bound_is_never_taken_in() {
    loom::model(|| {
        let queue = Arc::new(Queue::new(1, 8));
        let pushers = [1, 2].map(|item| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.push(item, 1).is_ok())
        });
        let taken = queue.take().unwrap();
        assert_eq!(taken.len(), 1);
        let accepted =
            pushers.map(|pusher| pusher.join().unwrap()).into_iter().filter(|accepted| *accepted).count();
        queue.close();
        assert_eq!(accepted, 1 + drain(&queue).len());
    });
}

#[test]
fn weight_is_bounded_but_for_a_single_item() {
    loom::model(|| {
        let queue = Queue::new(8, 10);
        queue.push(1, 100).unwrap();
        assert_eq!(queue.push(2, 1), Err(Refused::Full));
        assert_eq!(queue.take(), Some(vec![1]));
        queue.push(3, 9).unwrap();
        assert_eq!(queue.push(4, 2), Err(Refused::Full));
        queue.push(5, 1).unwrap();
    });
}
