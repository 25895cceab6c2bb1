//! Random operations on a store and on a plain map must give the same, also after the store was opened again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use state::{
    Batch, Bucket, BucketSpec, Clock, Durability, Embedded, Error, Expected, Memory, Op, Range, Receipt,
    Store, limits,
};
use tempfile::TempDir;

#[derive(Clone, Debug)]
enum Step {
    Write(Batch),
    Pass(u64),
    Reopen(Ended),
}

/// How a store came to its end before it is opened again.
#[derive(Clone, Copy, Debug)]
enum Ended {
    Closed,
    Killed,
}

/// What the map holds: value, version, the second it expires.
type Map = BTreeMap<Vec<u8>, (Vec<u8>, u64, u64)>;

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![b"a".to_vec(), b"a\0".to_vec(), b"b".to_vec(), vec![0xff], b"n".to_vec()])
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0..9_u8).prop_map(|digit| vec![b'0' + digit]),
        prop::collection::vec(any::<u8>(), 0..5),
        (0..5_000_usize).prop_map(|bytes| vec![7; bytes]),
    ]
}

fn expected() -> impl Strategy<Value = Expected> {
    prop_oneof![
        Just(Expected::Absent),
        (0..20_u64).prop_map(Expected::Version),
        value().prop_map(Expected::Value),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let ttl = prop::option::of((1..20_u64).prop_map(Duration::from_secs));
    prop_oneof![
        4 => (key(), value(), ttl).prop_map(|(key, value, ttl)| Op::Put { key, value, ttl }),
        1 => key().prop_map(|key| Op::Delete { key }),
        2 => (key(), expected(), prop::option::of(value())).prop_map(|(key, expected, new)| Op::Swap { key, expected, new }),
        1 => (key(), expected()).prop_map(|(key, expected)| Op::Check { key, expected }),
        2 => (key(), -5..5_i64).prop_map(|(key, delta)| Op::Increment { key, delta }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => prop::collection::vec(op(), 1..4).prop_map(|ops| Step::Write(Batch { ops })),
        2 => (1..10_u64).prop_map(Step::Pass),
        1 => prop::sample::select(vec![Ended::Closed, Ended::Killed]).prop_map(Step::Reopen),
    ];
    prop::collection::vec(step, 1..25)
}

/// What the batch would do to the map; the version is the one that the store gave.
fn apply(map: &Map, batch: &Batch, now: u64, version: u64) -> Option<(Map, Vec<i64>)> {
    let mut map: Map =
        map.iter().filter(|(_, (.., end))| *end > now).map(|(k, v)| (k.clone(), v.clone())).collect();
    let mut counters = Vec::new();
    let meets = |map: &Map, key: &[u8], expected: &Expected| match (expected, map.get(key)) {
        (Expected::Absent, None) => true,
        (Expected::Version(version), Some((_, found, _))) => version == found,
        (Expected::Value(value), Some((found, ..))) => value == found,
        _ => false,
    };
    for op in &batch.ops {
        match op {
            Op::Put { key, value, ttl } => {
                let end = ttl.map_or(u64::MAX, |ttl| now + ttl.as_secs());
                map.insert(key.clone(), (value.clone(), version, end));
            }
            Op::Delete { key } => drop(map.remove(key)),
            Op::Check { key, expected } => meets(&map, key, expected).then_some(())?,
            Op::Swap { key, expected, new } => {
                meets(&map, key, expected).then_some(())?;
                match new {
                    Some(value) => drop(map.insert(key.clone(), (value.clone(), version, u64::MAX))),
                    None => drop(map.remove(key)),
                }
            }
            Op::Increment { key, delta } => {
                let (text, _, end) = map.get(key).cloned().unwrap_or((b"0".to_vec(), 0, u64::MAX));
                let number = String::from_utf8(text).ok()?.parse::<i64>().ok()? + delta;
                counters.push(number);
                map.insert(key.clone(), (number.to_string().into_bytes(), version, end));
            }
        }
    }
    Some((map, counters))
}

fn agree(store: &dyn Store, bucket: &Bucket, map: &Map, now: u64) {
    let live: Vec<_> = map.iter().filter(|(_, (.., end))| *end > now).collect();
    let page = store.scan(bucket, Range::default()).unwrap();
    assert_eq!(page.items.len(), live.len());
    for ((found_key, found), (key, (value, version, _))) in page.items.into_iter().zip(live) {
        assert_eq!((&found_key, &found.value, found.version), (key, value, *version));
        assert_eq!(store.get(bucket, key).unwrap(), Some(found));
    }
}

fn run(steps: &[Step], reopen: impl Fn(Option<(Box<dyn Store>, Ended)>, Clock) -> Box<dyn Store>) {
    let hand = Arc::new(AtomicU64::new(0));
    let clock: Clock = {
        let hand = Arc::clone(&hand);
        Arc::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(hand.load(Ordering::SeqCst)))
    };
    let mut store = reopen(None, Arc::clone(&clock));
    let bucket = Bucket::new(BucketSpec::new("app", "bucket", Durability::Os)).unwrap();
    store.open(&bucket).unwrap();
    let mut map = Map::new();
    for step in steps {
        let now = hand.load(Ordering::SeqCst);
        match step {
            Step::Pass(seconds) => drop(hand.fetch_add(*seconds, Ordering::SeqCst)),
            Step::Reopen(ended) => store = reopen(Some((store, *ended)), Arc::clone(&clock)),
            Step::Write(batch) => {
                let result = store.write(&bucket, batch.clone()).wait();
                // Of a batch that failed, no version is one that an operation can expect.
                let version = result.as_ref().map_or(u64::MAX, |receipt| receipt.version);
                match apply(&map, batch, now, version) {
                    Some((after, counters)) => {
                        assert_eq!(result.unwrap(), Receipt { version, counters });
                        map = after;
                    }
                    None => {
                        assert!(matches!(result, Err(Error::Conflict { .. } | Error::NotACounter { .. })))
                    }
                }
            }
        }
        agree(&*store, &bucket, &map, hand.load(Ordering::SeqCst));
    }
    // A write that changes nothing sweeps, and then what is counted is what is there.
    store.write(&bucket, Batch::default().delete("nothing")).wait().unwrap();
    let now = hand.load(Ordering::SeqCst);
    let live = map.iter().filter(|(_, (.., end))| *end > now);
    let bytes: u64 =
        live.clone().map(|(key, (value, ..))| limits::ENTRY_BYTES + (key.len() + value.len()) as u64).sum();
    let usage = store.usage(&bucket).unwrap();
    assert_eq!((usage.keys, usage.bytes), (live.count() as u64, bytes));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn memory_is_a_map(steps in steps()) {
        run(&steps, |store, clock| store.map_or_else(|| Box::new(Memory::new(clock)) as _, |(store, _)| store));
    }

    #[test]
    fn files_are_a_map_that_stays(steps in steps()) {
        let directory = RefCell::new(tempfile::tempdir().unwrap());
        run(&steps, |store, clock| {
            let left = match &store {
                Some((_, Ended::Killed)) => Some(as_it_is(directory.borrow().path())),
                _ => None,
            };
            drop(store);
            if let Some(left) = left {
                directory.replace(left);
            }
            Box::new(Embedded::open(directory.borrow().path(), clock).unwrap())
        });
    }
}

/// A copy of what is in a directory: what a process leaves behind that was killed while it wrote nothing.
fn as_it_is(directory: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(directory).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}
