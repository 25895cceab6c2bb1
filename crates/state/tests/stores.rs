//! What every store does, on each back-end and durability class.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use state::{
    Batch, Bucket, BucketSpec, Change, Clock, Durability, Embedded, Error, Expected, Memory, Op, Range,
    Store, limits,
};

/// A clock that stands still until it is moved.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn clock(&self) -> Clock {
        let hand = self.clone();
        Arc::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 + hand.0.load(Ordering::SeqCst)))
    }

    fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

/// Runs `test` on every back-end and class.
fn everywhere(test: impl Fn(&dyn Store, Durability, &Hand)) {
    let hand = Hand::default();
    test(&Memory::new(hand.clock()), Durability::Memory, &hand);
    for durability in [Durability::Memory, Durability::Os, Durability::Disk] {
        let directory = tempfile::tempdir().unwrap();
        let hand = Hand::default();
        test(&Embedded::open(directory.path(), hand.clock()).unwrap(), durability, &hand);
    }
}

fn bucket(store: &dyn Store, spec: BucketSpec) -> Bucket {
    let bucket = Bucket::new(spec).unwrap();
    store.open(&bucket).unwrap();
    bucket
}

fn value(store: &dyn Store, bucket: &Bucket, key: &str) -> Option<String> {
    let entry = store.get(bucket, key.as_bytes()).unwrap();
    entry.map(|entry| String::from_utf8(entry.value).unwrap())
}

#[test]
fn what_was_put_is_found_until_it_is_deleted() {
    everywhere(|store, durability, _| {
        let bucket = bucket(store, BucketSpec::new("shop", "carts", durability));
        assert_eq!(value(store, &bucket, "a"), None);
        let first = store.write(&bucket, Batch::default().put("a", "1").put("b", "2")).wait().unwrap();
        assert_eq!(value(store, &bucket, "a").as_deref(), Some("1"));
        assert_eq!(store.get(&bucket, b"b").unwrap().unwrap().version, first.version);
        let second = store.write(&bucket, Batch::default().delete("a")).wait().unwrap();
        assert!(second.version > first.version);
        assert_eq!(value(store, &bucket, "a"), None);
        let usage = store.usage(&bucket).unwrap();
        assert_eq!((usage.keys, usage.bytes), (1, 2 + limits::ENTRY_BYTES));
    });
}

#[test]
fn a_batch_is_applied_whole_or_not_at_all() {
    everywhere(|store, durability, _| {
        let bucket = bucket(store, BucketSpec::new("shop", "carts", durability));
        let batch = Batch::default().put("a", "1").swap("b", Expected::Value(b"x".into()), None);
        let error = store.write(&bucket, batch).wait().unwrap_err();
        assert!(matches!(error, Error::Conflict { op: 1, found: None, .. }), "{error:?}");
        assert_eq!(value(store, &bucket, "a"), None);
        // An operation sees those before it.
        let batch = Batch::default()
            .put("a", "1")
            .swap("a", Expected::Value(b"1".into()), Some(b"2".into()))
            .increment("a", 40);
        assert_eq!(store.write(&bucket, batch).wait().unwrap().counters, [42]);
        assert_eq!(value(store, &bucket, "a").as_deref(), Some("42"));
    });
}

#[test]
fn a_swap_goes_by_version_value_or_absence() {
    everywhere(|store, durability, _| {
        let bucket = bucket(store, BucketSpec::new("shop", "carts", durability));
        let swap = |expected, new: &str| {
            let batch = Batch::default().swap("k", expected, Some(new.into()));
            store.write(&bucket, batch).wait().map(|receipt| receipt.version)
        };
        let first = swap(Expected::Absent, "1").unwrap();
        assert!(
            matches!(swap(Expected::Absent, "2"), Err(Error::Conflict { found: Some(v), .. }) if v == first)
        );
        let second = swap(Expected::Version(first), "2").unwrap();
        assert!(swap(Expected::Version(first), "3").is_err());
        swap(Expected::Value(b"2".into()), "1").unwrap();
        // The old value is back, its version is not.
        assert!(swap(Expected::Version(first), "3").is_err());
        assert!(swap(Expected::Version(second), "3").is_err());
    });
}

#[test]
fn a_counter_counts_and_nothing_else_does() {
    everywhere(|store, durability, _| {
        let bucket = bucket(store, BucketSpec::new("shop", "carts", durability));
        let add = |key: &str, delta| {
            store
                .write(&bucket, Batch::default().increment(key, delta))
                .wait()
                .map(|receipt| receipt.counters)
        };
        assert_eq!(add("n", -3).unwrap(), [-3]);
        assert_eq!(add("n", i64::MAX).unwrap(), [i64::MAX - 3]);
        assert!(matches!(add("n", 4), Err(Error::NotACounter { op: 0, .. })));
        store.write(&bucket, Batch::default().put("text", [0xff])).wait().unwrap();
        assert!(matches!(add("text", 1), Err(Error::NotACounter { .. })));
    });
}

#[test]
fn what_has_expired_is_not_seen_and_is_swept_with_the_next_commit() {
    everywhere(|store, durability, hand| {
        let ttl = Some(Duration::from_secs(10));
        let bucket = bucket(store, BucketSpec { ttl, ..BucketSpec::new("shop", "carts", durability) });
        store.write(&bucket, Batch::default().put("short", "1").increment("n", 1)).wait().unwrap();
        let long = Op::Put { key: b"long".into(), value: b"2".into(), ttl: Some(Duration::from_secs(20)) };
        store.write(&bucket, Batch::default().with(long)).wait().unwrap();
        hand.pass(9);
        // Counting does not prolong a counter's life: that is what a rate limit is made of.
        store.write(&bucket, Batch::default().increment("n", 1)).wait().unwrap();
        assert_eq!(value(store, &bucket, "n").as_deref(), Some("2"));
        hand.pass(1);
        assert_eq!(value(store, &bucket, "short"), None);
        assert_eq!(value(store, &bucket, "n"), None);
        assert_eq!(value(store, &bucket, "long").as_deref(), Some("2"));
        assert_eq!(store.keys(&bucket, Range::default()).unwrap().items, [b"long"]);
        assert_eq!(store.usage(&bucket).unwrap().keys, 3);
        let batch = Batch::default().swap("short", Expected::Absent, Some(b"new".into()));
        store.write(&bucket, batch).wait().unwrap();
        assert_eq!(store.usage(&bucket).unwrap().keys, 2);
    });
}

#[test]
fn pages_follow_each_other_in_the_order_of_keys() {
    everywhere(|store, durability, _| {
        let bucket = bucket(store, BucketSpec::new("shop", "carts", durability));
        let neighbour = self::bucket(store, BucketSpec::new("shop", "carts2", durability));
        store.write(&neighbour, Batch::default().put("p5", "")).wait().unwrap();
        let batch = (0..25)
            .fold(Batch::default().put("o", "").put("q", ""), |batch, n| batch.put(format!("p{n:02}"), "v"));
        store.write(&bucket, batch).wait().unwrap();
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let range = Range { prefix: b"p", after: after.as_deref(), limit: 10 };
            let page = store.scan(&bucket, range).unwrap();
            assert!(page.items.len() <= 10);
            found.extend(page.items.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, (0..25).map(|n| format!("p{n:02}")).collect::<Vec<_>>());
        assert_eq!(store.keys(&bucket, Range::default()).unwrap().items.len(), 27);
        // A page ends at its bytes, too: two values of half a page and one more make two pages.
        let half = vec![0; limits::PAGE_BYTES_MAX / 2];
        let batch =
            ["r1", "r2", "r3"].iter().fold(Batch::default(), |batch, key| batch.put(*key, half.clone()));
        store.write(&bucket, batch).wait().unwrap();
        let page = store.scan(&bucket, Range { prefix: b"r", ..Range::default() }).unwrap();
        assert_eq!((page.items.len(), page.next.as_deref()), (2, Some(b"r2".as_slice())));
    });
}

#[test]
fn limits_are_held_and_named() {
    everywhere(|store, durability, _| {
        let quota_bytes = Some(200);
        let bucket =
            bucket(store, BucketSpec { quota_bytes, ..BucketSpec::new("shop", "carts", durability) });
        let put =
            |key: Vec<u8>, value: Vec<u8>| store.write(&bucket, Batch::default().put(key, value)).wait();
        assert!(matches!(put(vec![], vec![]), Err(Error::Key { bytes: 0, .. })));
        assert!(matches!(put(vec![0; 1_025], vec![]), Err(Error::Key { bytes: 1_025, .. })));
        assert!(matches!(put(vec![0], vec![0; limits::VALUE_BYTES_MAX + 1]), Err(Error::Value { .. })));
        assert!(matches!(store.get(&bucket, b""), Err(Error::Key { .. })));
        put(vec![0], vec![0; 200 - 65]).unwrap();
        let error = put(vec![1], vec![]).unwrap_err();
        assert_eq!(error.to_string(), "bucket `shop/carts` would hold 265 bytes: its quota is 200");
        assert!(error.hint().is_some());
        store.write(&bucket, Batch::default().delete([0])).wait().unwrap();
        put(vec![1], vec![]).unwrap();
        let many = (0..=limits::BATCH_OPS_MAX).fold(Batch::default(), |batch, _| batch.delete("k"));
        assert!(matches!(store.write(&bucket, many).wait(), Err(Error::Batch { .. })));
    });
}

#[test]
fn an_app_has_so_many_buckets_and_no_more() {
    let hand = Hand::default();
    let store = Memory::new(hand.clock());
    for n in 0..limits::BUCKETS_MAX {
        bucket(&store, BucketSpec::new("shop", format!("b{n}"), Durability::Memory));
    }
    let more = Bucket::new(BucketSpec::new("shop", "more", Durability::Memory)).unwrap();
    assert!(matches!(store.open(&more), Err(Error::Buckets { .. })));
    assert!(matches!(store.write(&more, Batch::default().put("k", "v")).wait(), Err(Error::NoBucket(_))));
    // That one is another app's business.
    bucket(&store, BucketSpec::new("sho", "pmore", Durability::Memory));
}

#[test]
fn names_do_not_run_into_each_other() {
    everywhere(|store, durability, _| {
        let names =
            [("a/b", "c"), ("a", "b/c"), ("a", "b"), ("ab", "c"), ("a", "bc"), ("A", "b"), ("\u{e9}", "c")];
        for (app, name) in names {
            let bucket = bucket(store, BucketSpec::new(app, name, durability));
            store.write(&bucket, Batch::default().put("k", format!("{app}|{name}"))).wait().unwrap();
        }
        for (app, name) in names {
            let bucket = bucket(store, BucketSpec::new(app, name, durability));
            assert_eq!(value(store, &bucket, "k"), Some(format!("{app}|{name}")));
            assert_eq!(store.usage(&bucket).unwrap().keys, 1);
        }
        assert_eq!(store.buckets("a").unwrap(), ["b", "b/c", "bc"]);
        assert_eq!(store.buckets("nobody").unwrap(), [""; 0]);
    });
    for (app, name) in [("", "b"), ("a", ""), ("a", ".own"), ("a\n", "b"), ("a", &"x".repeat(129))] {
        let error = Bucket::new(BucketSpec::new(app, name, Durability::Disk)).unwrap_err();
        assert!(matches!(error, Error::Name(_)), "{app:?} {name:?}");
    }
}

#[test]
fn a_removed_bucket_is_gone_however_much_was_in_it() {
    everywhere(|store, durability, _| {
        let bucket = bucket(store, BucketSpec::new("shop", "carts", durability));
        let ttl = Some(Duration::from_secs(5));
        for part in 0..2 {
            let put = |n: u32| Op::Put { key: format!("{part} {n}").into(), value: vec![], ttl };
            store.write(&bucket, Batch { ops: (0..1_500).map(put).collect() }).wait().unwrap();
        }
        store.remove(&bucket).unwrap();
        store.remove(&bucket).unwrap();
        assert!(matches!(store.usage(&bucket), Err(Error::NoBucket(_))));
        assert!(matches!(
            store.write(&bucket, Batch::default().put("k", "v")).wait(),
            Err(Error::NoBucket(_))
        ));
        store.open(&bucket).unwrap();
        assert_eq!(store.usage(&bucket).unwrap(), state::Usage::default());
        assert_eq!(store.keys(&bucket, Range::default()).unwrap().items.len(), 0);
    });
}

#[test]
fn a_watch_tells_of_changes_in_order_and_of_what_it_missed() {
    everywhere(|store, durability, _| {
        let bucket = bucket(store, BucketSpec::new("shop", "carts", durability));
        let mut watch = store.watch(&bucket).unwrap();
        assert_eq!(watch.try_next().unwrap(), None);
        store.write(&bucket, Batch::default().put("a", "1")).wait().unwrap();
        store.write(&bucket, Batch::default().delete("a")).wait().unwrap();
        let change = |present| Some(Change { key: b"a".as_slice().into(), present });
        assert_eq!(watch.try_next().unwrap(), change(true));
        assert_eq!(watch.try_next().unwrap(), change(false));
        store.write(&bucket, Batch::default().delete("a")).wait().unwrap();
        assert_eq!(watch.try_next().unwrap(), None, "nothing was there");
        let many = (0..limits::WATCH_CHANGES_MAX + 7)
            .fold(Batch::default(), |batch, n| batch.put(format!("{n}"), ""));
        store.write(&bucket, many).wait().unwrap();
        assert!(matches!(watch.try_next(), Err(Error::Lagged { missed: 7 })));
        assert!(watch.try_next().unwrap().is_some());
    });
}
