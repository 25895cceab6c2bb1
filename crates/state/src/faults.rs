//! Tests of a file whose disk crashes, fills up or fails: at every single write and sync in turn.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use redb::{Database, DatabaseError, StorageBackend};

use crate::apply::Task;
use crate::frozen::Frozen;
use crate::opened::{Mode, Place};
use crate::shelf::Shelf;
use crate::{Batch, Bucket, BucketSpec, Durability, Error, Expected, Range, Receipt};

/// A disk: what is safe on it, and the writes since the last sync, which a crash may lose.
#[derive(Default)]
struct Disk {
    safe: Vec<u8>,
    seen: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
    /// Writes and syncs so far, and from which on they fail with what.
    operations: usize,
    fails: Option<(usize, io::ErrorKind)>,
}

#[derive(Clone, Default)]
struct Device(Arc<Mutex<Disk>>);

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Device")
    }
}

impl Device {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    /// The disk, after one more write or sync, if it does not fail.
    fn operate(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let mut disk = self.disk();
        disk.operations += 1;
        match disk.fails {
            Some((first, kind)) if disk.operations >= first => Err(kind.into()),
            _ => Ok(disk),
        }
    }

    /// The disk after the power came back: of the writes that were not synced, those are there that `kept` says.
    fn after_crash(&self, mut kept: impl FnMut(usize) -> bool) -> Device {
        let disk = self.disk();
        let mut bytes = disk.safe.clone();
        for (index, (offset, data)) in disk.unsynced.iter().enumerate() {
            if kept(index) {
                let end = offset + data.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*offset..end].copy_from_slice(data);
            }
        }
        // A file that was grown may have its new length or not; redb needs no more than it was synced with.
        bytes.resize(bytes.len().max(disk.seen.len()), 0);
        Device(Arc::new(Mutex::new(Disk { safe: bytes.clone(), seen: bytes, ..Disk::default() })))
    }

    fn open(&self) -> Result<Shelf, Error> {
        Shelf::open(Path::new("device"), Box::new(self.clone()), Arc::new(|| SystemTime::UNIX_EPOCH))
    }
}

impl Place for Device {
    fn open(&self, mode: Mode) -> Result<Database, DatabaseError> {
        let mut builder = Database::builder();
        builder.set_cache_size(1 << 20);
        match mode {
            Mode::Writable => builder.create_with_backend(self.clone()),
            Mode::Frozen => builder.create_with_backend(Frozen::new(self.clone())?),
        }
    }

    fn probe(&self, _bytes: usize) -> io::Result<()> {
        let disk = self.disk();
        match disk.fails {
            Some((first, kind)) if disk.operations >= first => Err(kind.into()),
            _ => Ok(()),
        }
    }
}

impl StorageBackend for Device {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let disk = self.disk();
        let bytes = disk.seen.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.operate()?.seen.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.operate()?;
        disk.safe = disk.seen.clone();
        disk.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let mut disk = self.operate()?;
        disk.seen
            .get_mut(offset..offset + data.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?
            .copy_from_slice(data);
        disk.unsynced.push((offset, data.to_vec()));
        Ok(())
    }
}

fn bucket() -> Bucket {
    Bucket::new(BucketSpec::new("app", "bucket", Durability::Disk)).unwrap()
}

/// A new disk with an empty bucket.
fn formatted() -> Device {
    let device = Device::default();
    let shelf = device.open().unwrap();
    shelf.submit(&bucket(), Task::Create, 0).wait().unwrap();
    drop(shelf);
    device
}

/// Everything in the bucket.
fn contents(shelf: &Shelf) -> BTreeMap<String, String> {
    let page = shelf.page(&bucket(), Range::default(), crate::rows::whole).unwrap();
    assert_eq!(page.next, None);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    page.items.into_iter().map(|(key, entry)| (text(key), text(entry.value))).collect()
}

/// Writes number `n`: counts, swaps what the write before put, and adds and removes keys, in one batch.
fn write(shelf: &Shelf, n: usize) -> Result<Receipt, Error> {
    let expected = if n == 0 { Expected::Absent } else { Expected::Value((n - 1).to_string().into()) };
    let batch = Batch::default()
        .increment("count", 1)
        .swap("last", expected, Some(n.to_string().into()))
        .put(format!("key {n}"), "x".repeat(n * 700))
        .delete(format!("key {}", n.wrapping_sub(2)));
    shelf.write(&bucket(), batch).wait()
}

/// What the bucket holds after `count` such writes.
fn expected(count: usize) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    if count > 0 {
        map.insert("count".to_owned(), count.to_string());
        map.insert("last".to_owned(), (count - 1).to_string());
        for n in count.saturating_sub(2)..count {
            map.insert(format!("key {n}"), "x".repeat(n * 700));
        }
    }
    map
}

const WRITES: usize = 8;

/// Runs the writes on a disk that fails from operation `first` on; returns how many were acknowledged. `None` when the
/// disk did not come to fail.
fn run_until_failure(device: &Device, first: usize, kind: io::ErrorKind) -> Option<usize> {
    {
        let mut disk = device.disk();
        disk.operations = 0;
        disk.fails = Some((first, kind));
    }
    let acknowledged = match device.open() {
        Ok(shelf) => (0..WRITES).take_while(|n| write(&shelf, *n).is_ok()).count(),
        Err(_) => 0,
    };
    (device.disk().operations >= first).then_some(acknowledged)
}

#[test]
fn what_was_acknowledged_survives_a_crash_at_every_point() {
    let formatted = formatted();
    let mut points = 0;
    loop {
        points += 1;
        let device = formatted.after_crash(|_| true);
        let Some(acknowledged) = run_until_failure(&device, points, io::ErrorKind::Other) else { break };
        // Of what was not synced, all may be lost, none, or some.
        let mut seed = points as u32;
        let mut some = |_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 31 == 1
        };
        let kept: [&mut dyn FnMut(usize) -> bool; 4] =
            [&mut |_| false, &mut |_| true, &mut |index| index % 2 == 0, &mut some];
        for kept in kept {
            let shelf = device.after_crash(kept).open().unwrap();
            let found = contents(&shelf);
            // The one write that was on its way is there whole or not at all.
            let whole = [acknowledged, acknowledged + 1].map(expected);
            assert!(
                whole.contains(&found),
                "point {points}, {acknowledged} acknowledged: {:?}",
                found.keys()
            );
            let count: usize = found.get("count").map_or(0, |count| count.parse().unwrap());
            let usage = shelf.usage(&bucket()).unwrap().unwrap();
            assert_eq!(usage.keys, found.len() as u64);
            // And it goes on from there.
            write(&shelf, count).unwrap();
            assert_eq!(contents(&shelf), expected(count + 1));
        }
    }
    assert!(points > 3 * WRITES, "{points}");
}

#[test]
fn a_disk_that_is_full_at_any_point_loses_nothing_and_is_written_again_when_it_has_room() {
    let formatted = formatted();
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::ReadOnlyFilesystem] {
        for point in 1.. {
            let device = formatted.after_crash(|_| true);
            let Ok(shelf) = device.open() else { unreachable!("the disk is well") };
            {
                let mut disk = device.disk();
                disk.operations = 0;
                disk.fails = Some((point, kind));
            }
            let mut acknowledged = 0;
            let error = loop {
                match write(&shelf, acknowledged) {
                    Ok(_) if acknowledged + 1 == WRITES => break None,
                    Ok(_) => acknowledged += 1,
                    Err(error) => break Some(error),
                }
            };
            let Some(error) = error else { break };
            let Error::Io { source, .. } = &error else { panic!("{error:?}") };
            assert_eq!(source.kind(), kind);
            // Who reads does not notice.
            let found = contents(&shelf);
            let whole = [acknowledged, acknowledged + 1].map(expected);
            assert!(whole.contains(&found), "point {point}, {acknowledged}: {:?}", found.keys());
            // While it is full, it is refused in the same way.
            let again = write(&shelf, acknowledged);
            assert!(
                matches!(again, Ok(_) | Err(Error::Io { .. } | Error::Open { .. } | Error::Conflict { .. })),
                "{again:?}"
            );
            assert_eq!(contents(&shelf), if again.is_ok() { expected(acknowledged + 1) } else { found });
            device.disk().fails = None;
            // Which of two it was can be read: the batch is whole or not at all.
            let _ = shelf.write(&bucket(), Batch::default().delete("nothing")).wait();
            let count = contents(&shelf).get("count").map_or(0, |count| count.parse().unwrap());
            assert!((acknowledged..=acknowledged + 2).contains(&count), "{count} of {acknowledged}");
            assert_eq!(contents(&shelf), expected(count));
            write(&shelf, count).unwrap();
            drop(shelf);
            assert_eq!(contents(&device.open().unwrap()), expected(count + 1));
        }
    }
}

/// Reads while the disk is full and others write: at every moment, what was committed last.
#[test]
fn who_reads_while_writes_fail_does_not_notice() {
    let device = formatted();
    let shelf = device.open().unwrap();
    (0..WRITES).for_each(|n| drop(write(&shelf, n).unwrap()));
    let full = expected(WRITES);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut reads = 0;
                    while reads == 0 || !done.load(Ordering::Relaxed) {
                        assert_eq!(contents(&shelf), full);
                        assert_eq!(shelf.usage(&bucket()).unwrap().unwrap().keys, full.len() as u64);
                        let last = shelf.get(&bucket(), b"last").unwrap().unwrap();
                        assert_eq!(last.value, (WRITES - 1).to_string().into_bytes());
                        reads += 1;
                    }
                })
            })
            .collect();
        // It fails at every point in turn: within the write, or when the file is opened again.
        let failed = (0..200).filter(|round| {
            let first = device.disk().operations + round % 10;
            device.disk().fails = Some((first, io::ErrorKind::StorageFull));
            let batch = Batch::default().put("more", vec![0; 100_000]).delete("more");
            let written = shelf.write(&bucket(), batch).wait();
            device.disk().fails = None;
            written.is_err()
        });
        let failed = failed.count();
        done.store(true, Ordering::Relaxed);
        assert!(failed > 100, "{failed}");
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

#[test]
fn a_full_disk_is_not_written_again_and_again() {
    let device = formatted();
    let shelf = device.open().unwrap();
    write(&shelf, 0).unwrap();
    let operations = || device.disk().operations;
    let now = operations();
    device.disk().fails = Some((now, io::ErrorKind::StorageFull));
    write(&shelf, 1).unwrap_err();
    let before = operations();
    for _ in 0..10 {
        let error = write(&shelf, 1).unwrap_err();
        assert!(matches!(&error, Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull));
    }
    assert_eq!(operations(), before);
    // To remove something may need no more room than there is.
    shelf.write(&bucket(), Batch::default().delete("last")).wait().unwrap_err();
    assert!(operations() > before);
    device.disk().fails = None;
    write(&shelf, 1).unwrap();
    assert_eq!(contents(&shelf), expected(2));
}
