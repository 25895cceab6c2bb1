//! What containers do with objects.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use state::{Blobs, Clock, Durability, Embedded, Error, Memory, Store, limits};

fn clock() -> Clock {
    Arc::new(|| SystemTime::UNIX_EPOCH + Duration::from_millis(5))
}

fn open(store: &Arc<dyn Store>, app: &str) -> Blobs {
    Blobs::open(Arc::clone(store), app, Durability::Os, Some(5 << 20), clock()).unwrap()
}

/// Runs `test` over every back-end.
fn everywhere<F: Future<Output = ()>>(test: impl Fn(Arc<dyn Store>) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(test(Arc::new(Memory::new(clock()))));
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path(), clock()).unwrap();
    runtime.block_on(test(Arc::new(store)));
}

/// Opening blocks, which an asynchronous test leaves to another thread.
async fn opened(store: &Arc<dyn Store>, app: &'static str) -> Blobs {
    let store = Arc::clone(store);
    tokio::task::spawn_blocking(move || open(&store, app)).await.unwrap()
}

/// Bytes that differ everywhere.
fn data(bytes: usize) -> Vec<u8> {
    (0..bytes.div_ceil(4)).flat_map(|n| (n as u32).to_le_bytes()).take(bytes).collect()
}

async fn put(blobs: &Blobs, container: &str, object: &str, data: &[u8]) -> Result<(), Error> {
    let mut writing = blobs.write_object(container, object).await?;
    for part in data.chunks(100_000) {
        writing.write(part).await?;
    }
    writing.finish().await
}

fn read(blobs: &Blobs, container: &str, object: &str, start: u64, length: u64) -> Result<Vec<u8>, Error> {
    blobs.read(container, object, start, length)?.collect::<Result<Vec<_>, _>>().map(|parts| parts.concat())
}

#[test]
fn an_object_appears_whole_and_is_read_in_ranges() {
    everywhere(async |store| {
        let blobs = opened(&store, "shop").await;
        assert!(matches!(put(&blobs, "box", "big", b"x").await, Err(Error::NoContainer(_))));
        blobs.create_container("box").await.unwrap();
        let data = data(3 * limits::CHUNK_BYTES + 5);
        let mut writing = blobs.write_object("box", "big").await.unwrap();
        writing.write(&data).await.unwrap();
        assert_eq!(blobs.info("box", "big").unwrap(), None);
        writing.finish().await.unwrap();
        assert_eq!(blobs.info("box", "big").unwrap().unwrap().bytes, data.len() as u64);
        assert_eq!(blobs.info("box", "big").unwrap().unwrap().created, clock()());
        let chunk = limits::CHUNK_BYTES as u64;
        let end = data.len() as u64;
        for (start, length) in [
            (0, end),
            (0, u64::MAX),
            (1, 1),
            (chunk - 1, 2),
            (chunk, chunk),
            (end - 1, 9),
            (end, 9),
            (u64::MAX, 1),
        ] {
            let expected = start.min(end)..start.saturating_add(length).min(end);
            let expected = &data[expected.start as usize..expected.end as usize];
            assert_eq!(read(&blobs, "box", "big", start, length).unwrap(), expected, "{start} {length}");
        }
        put(&blobs, "box", "empty", b"").await.unwrap();
        assert_eq!(read(&blobs, "box", "empty", 0, 9).unwrap(), b"");
    });
}

#[test]
fn nothing_is_left_of_what_was_replaced_dropped_moved_or_removed() {
    everywhere(async |store| {
        let blobs = opened(&store, "shop").await;
        blobs.create_container("a").await.unwrap();
        blobs.create_container("b").await.unwrap();
        let (one, two) = (data(limits::CHUNK_BYTES * 2), data(300_000));
        put(&blobs, "a", "x", &one).await.unwrap();
        put(&blobs, "a", "x", &two).await.unwrap();
        assert_eq!(read(&blobs, "a", "x", 0, u64::MAX).unwrap(), two);
        let mut dropped = blobs.write_object("a", "x").await.unwrap();
        dropped.write(&one).await.unwrap();
        drop(dropped);
        blobs.copy(("a", "x"), ("b", "y")).await.unwrap();
        blobs.rename(("a", "x"), ("b", "z")).await.unwrap();
        assert!(matches!(read(&blobs, "a", "x", 0, 1), Err(Error::NoObject(_))));
        assert_eq!(read(&blobs, "b", "y", 0, u64::MAX).unwrap(), two);
        assert_eq!(read(&blobs, "b", "z", 0, u64::MAX).unwrap(), two);
        assert_eq!(blobs.objects("b", None, 0).unwrap().items, ["y", "z"]);
        assert_eq!(blobs.objects("b", Some(b"y"), 0).unwrap().items, ["z"]);
        blobs.remove("b", "y").await.unwrap();
        let mut reading = blobs.read("b", "z", 0, u64::MAX).unwrap();
        assert!(reading.next().unwrap().is_ok());
        blobs.remove_container("b").await.unwrap();
        assert!(matches!(reading.next(), Some(Err(Error::NoObject(_)))));
        assert!(reading.next().is_none());
        assert_eq!(blobs.containers(None, 0).unwrap().items, ["a"]);
        blobs.remove_container("a").await.unwrap();
        // Nothing but the counter of data is left: a new object fits where the quota would not have let it.
        for _ in 0..2 {
            blobs.create_container("a").await.unwrap();
            put(&blobs, "a", "x", &data(4 << 20)).await.unwrap();
            blobs.remove("a", "x").await.unwrap();
        }
    });
}

#[test]
fn a_container_that_is_removed_while_an_object_is_written_does_not_get_it() {
    everywhere(async |store| {
        let blobs = opened(&store, "shop").await;
        blobs.create_container("a").await.unwrap();
        let mut writing = blobs.write_object("a", "x").await.unwrap();
        writing.write(&data(300_000)).await.unwrap();
        blobs.remove_container("a").await.unwrap();
        assert!(matches!(writing.finish().await, Err(Error::NoContainer(_))));
        blobs.create_container("a").await.unwrap();
        assert_eq!(blobs.info("a", "x").unwrap(), None);
    });
}

#[test]
fn apps_and_containers_are_apart_and_names_have_their_limits() {
    everywhere(async |store| {
        let (shop, other) = (opened(&store, "shop").await, opened(&store, "other").await);
        for container in ["a", "ab", "a/b"] {
            shop.create_container(container).await.unwrap();
        }
        put(&shop, "a", "b/c", b"1").await.unwrap();
        put(&shop, "a/b", "c", b"2").await.unwrap();
        assert_eq!(read(&shop, "a", "b/c", 0, 9).unwrap(), b"1");
        assert_eq!(read(&shop, "a/b", "c", 0, 9).unwrap(), b"2");
        assert_eq!(shop.objects("a", None, 0).unwrap().items, ["b/c"]);
        assert_eq!(other.containers(None, 0).unwrap().items, [""; 0]);
        assert_eq!(store.buckets("shop").unwrap(), [""; 0]);
        assert!(matches!(shop.create_container("").await, Err(Error::BlobName(_))));
        assert!(matches!(shop.create_container(&"x".repeat(129)).await, Err(Error::BlobName(_))));
        assert!(matches!(put(&shop, "a", &"x".repeat(769), b"").await, Err(Error::BlobName(_))));
        put(&shop, "a", &"x".repeat(768), b"").await.unwrap();
        shop.create_container(&"x".repeat(128)).await.unwrap();
        put(&shop, &"x".repeat(128), &"x".repeat(768), b"").await.unwrap();
        let full = put(&shop, "a", "full", &data(6 << 20)).await;
        assert!(matches!(full, Err(Error::Quota { .. })), "{full:?}");
    });
}
