//! What containers do with objects.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use state::{Batch, BucketSpec, Clock, Container, Durability, Embedded, Error, Memory, Store, limits};

fn clock() -> Clock {
    Arc::new(|| SystemTime::UNIX_EPOCH + Duration::from_millis(5))
}

fn named(store: &Arc<dyn Store>, app: &str, name: &str) -> Result<Container, Error> {
    let spec = BucketSpec { quota_bytes: Some(5 << 20), ..BucketSpec::new(app, name, Durability::Os) };
    Container::new(Arc::clone(store), spec, clock())
}

/// Runs `test` over every back-end.
fn everywhere<F: Future<Output = ()>>(test: impl Fn(Arc<dyn Store>) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(test(Arc::new(Memory::new(clock()))));
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path(), clock()).unwrap();
    runtime.block_on(test(Arc::new(store)));
}

/// A container that is there. Opening blocks, which an asynchronous test leaves to another thread.
async fn made(store: &Arc<dyn Store>, app: &str, name: &str) -> Container {
    let container = named(store, app, name).unwrap();
    let opening = container.clone();
    tokio::task::spawn_blocking(move || opening.open()).await.unwrap().unwrap();
    container.create().await.unwrap();
    container
}

/// Bytes that differ everywhere.
fn data(bytes: usize) -> Vec<u8> {
    (0..bytes.div_ceil(4)).flat_map(|n| (n as u32).to_le_bytes()).take(bytes).collect()
}

async fn put(container: &Container, object: &str, data: &[u8]) -> Result<(), Error> {
    let mut writing = container.write_object(object).await?;
    for part in data.chunks(100_000) {
        writing.write(part).await?;
    }
    writing.finish().await
}

fn read(container: &Container, object: &str, start: u64, length: u64) -> Result<Vec<u8>, Error> {
    container.read(object, start, length)?.collect::<Result<Vec<_>, _>>().map(|parts| parts.concat())
}

#[test]
fn an_object_appears_whole_and_is_read_in_ranges() {
    everywhere(async |store| {
        let container = made(&store, "shop", "box").await;
        container.remove().await.unwrap();
        assert!(matches!(put(&container, "big", b"x").await, Err(Error::NoContainer(_))));
        container.create().await.unwrap();
        let data = data(3 * limits::CHUNK_BYTES + 5);
        let mut writing = container.write_object("big").await.unwrap();
        writing.write(&data).await.unwrap();
        assert_eq!(container.info("big").unwrap(), None);
        writing.finish().await.unwrap();
        assert_eq!(container.info("big").unwrap().unwrap().bytes, data.len() as u64);
        assert_eq!(container.info("big").unwrap().unwrap().created, clock()());
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
            assert_eq!(read(&container, "big", start, length).unwrap(), expected, "{start} {length}");
        }
        put(&container, "empty", b"").await.unwrap();
        assert_eq!(read(&container, "empty", 0, 9).unwrap(), b"");
    });
}

#[test]
fn nothing_is_left_of_what_was_replaced_dropped_moved_or_removed() {
    everywhere(async |store| {
        let (a, b) = (made(&store, "shop", "a").await, made(&store, "shop", "b").await);
        let empty = store.usage(a.bucket()).unwrap();
        let (one, two) = (data(limits::CHUNK_BYTES * 2), data(300_000));
        put(&a, "x", &one).await.unwrap();
        put(&a, "x", &two).await.unwrap();
        assert_eq!(read(&a, "x", 0, u64::MAX).unwrap(), two);
        let mut dropped = a.write_object("x").await.unwrap();
        dropped.write(&one).await.unwrap();
        drop(dropped);
        a.copy("x", (&b, "y")).await.unwrap();
        a.rename("x", (&a, "w")).await.unwrap();
        a.rename("w", (&b, "z")).await.unwrap();
        for gone in ["x", "w"] {
            assert!(matches!(read(&a, gone, 0, 1), Err(Error::NoObject(_))), "{gone}");
        }
        assert_eq!(read(&b, "y", 0, u64::MAX).unwrap(), two);
        assert_eq!(read(&b, "z", 0, u64::MAX).unwrap(), two);
        assert_eq!(b.objects(None, 0).unwrap().items, ["y", "z"]);
        assert_eq!(b.objects(Some(b"y"), 0).unwrap().items, ["z"]);
        b.remove_object("y").await.unwrap();
        let mut reading = b.read("z", 0, u64::MAX).unwrap();
        assert!(reading.next().unwrap().is_ok());
        b.remove().await.unwrap();
        assert!(matches!(reading.next(), Some(Err(Error::NoObject(_)))));
        assert!(reading.next().is_none());
        assert_eq!((b.created().unwrap(), a.created().unwrap()), (None, Some(clock()())));
        // Nothing but when it was created and the counter of data.
        assert_eq!(store.usage(a.bucket()).unwrap().keys, empty.keys + 1);
        assert_eq!(store.usage(b.bucket()).unwrap().keys, 1);
    });
}

#[test]
fn a_container_that_is_removed_while_an_object_is_written_does_not_get_it() {
    everywhere(async |store| {
        let container = made(&store, "shop", "a").await;
        let mut writing = container.write_object("x").await.unwrap();
        writing.write(&data(300_000)).await.unwrap();
        container.remove().await.unwrap();
        assert!(matches!(writing.finish().await, Err(Error::NoContainer(_))));
        container.create().await.unwrap();
        assert_eq!(container.info("x").unwrap(), None);
    });
}

#[test]
fn apps_and_containers_are_apart_and_names_have_their_limits() {
    everywhere(async |store| {
        let (a, long) = (made(&store, "shop", "a").await, made(&store, "shop", "a/b").await);
        let other = made(&store, "other", "a").await;
        put(&a, "b/c", b"1").await.unwrap();
        put(&long, "c", b"2").await.unwrap();
        assert_eq!(read(&a, "b/c", 0, 9).unwrap(), b"1");
        assert_eq!(read(&long, "c", 0, 9).unwrap(), b"2");
        assert_eq!(a.objects(None, 0).unwrap().items, ["b/c"]);
        assert_eq!(other.objects(None, 0).unwrap().items, [""; 0]);
        assert_eq!(store.buckets("shop").unwrap(), [""; 0]);
        let longest = "x".repeat(limits::CONTAINER_BYTES_MAX);
        for name in ["", &format!("{longest}x")] {
            assert!(matches!(named(&store, "shop", name), Err(Error::BlobName(_))), "{name}");
        }
        assert!(matches!(put(&a, &"x".repeat(769), b"").await, Err(Error::BlobName(_))));
        put(&made(&store, "shop", &longest).await, &"x".repeat(768), b"").await.unwrap();
        let full = put(&a, "full", &data(6 << 20)).await;
        assert!(matches!(full, Err(Error::Quota { .. })), "{full:?}");
        // The quota is each container's own.
        for container in [&a, &long] {
            put(container, "large", &data(4 << 20)).await.unwrap();
        }
    });
}

#[test]
fn nonsense_in_its_bucket_spoils_objects_and_nothing_else() {
    everywhere(async |store| {
        let container = made(&store, "shop", "a").await;
        let head = |id: u64, bytes: u64| [id, bytes, u64::MAX].map(u64::to_be_bytes).concat();
        let nonsense = Batch::default()
            .put("n", u64::MAX.to_be_bytes())
            .put("oendless", head(7, u64::MAX))
            .put("oshort", head(7, 10))
            .put([&b"o"[..], &[0xff; 1_000]].concat(), head(7, 1))
            .put("ohead", "none")
            .put("g", "")
            .put("gx", "");
        put(&container, "old", b"1").await.unwrap();
        store.write(container.bucket(), nonsense).await.unwrap();
        for object in ["endless", "short"] {
            assert!(matches!(read(&container, object, 0, u64::MAX), Err(Error::NoObject(_))), "{object}");
            assert!(matches!(read(&container, object, u64::MAX - 1, 9), Ok(_) | Err(Error::NoObject(_))));
        }
        assert_eq!(container.info("head").unwrap(), None);
        made(&store, "shop", "a").await;
        put(&container, "new", b"1").await.unwrap();
        for object in ["old", "new"] {
            assert_eq!(read(&container, object, 0, 9).unwrap(), b"1", "{object}");
        }
        container.remove().await.unwrap();
        assert_eq!(container.objects(None, 0).unwrap().items, [""; 0]);
    });
}
