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

/// Bytes of the log: few, so that its halves are full while the tests write.
const LOG_BYTES: usize = 16 << 10;

/// A disk with two files.
#[derive(Default)]
struct Disk {
    rows: Contents,
    log: Contents,
    /// Writes and syncs so far, and from which on they fail with what.
    operations: usize,
    fails: Option<(usize, io::ErrorKind)>,
}

/// A file: what of it is safe, and the writes since the last sync, which a crash may lose.
#[derive(Default)]
struct Contents {
    safe: Vec<u8>,
    seen: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

impl Contents {
    /// After the power came back: of the writes that were not synced, those are there that `kept` says.
    fn after_crash(&self, mut kept: impl FnMut() -> bool) -> Contents {
        let mut bytes = self.safe.clone();
        for (offset, data) in &self.unsynced {
            if kept() {
                let end = offset + data.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*offset..end].copy_from_slice(data);
            }
        }
        // A file that was grown may have its new length or not; redb needs no more than it was synced with.
        bytes.resize(bytes.len().max(self.seen.len()), 0);
        Contents { safe: bytes.clone(), seen: bytes, unsynced: Vec::new() }
    }
}

/// A disk, and what has to be free for the rows to be written.
#[derive(Clone, Default)]
struct Device(Arc<Mutex<Disk>>, Arc<Mutex<()>>);

impl Device {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    /// The disk after the power came back: `kept` is asked for each write that was not synced.
    fn after_crash(&self, mut kept: impl FnMut() -> bool) -> Device {
        let disk = self.disk();
        let [rows, log] = [&disk.rows, &disk.log].map(|file| file.after_crash(&mut kept));
        Device(Arc::new(Mutex::new(Disk { rows, log, ..Disk::default() })), Arc::default())
    }

    fn open(&self) -> Result<Shelf, Error> {
        Shelf::open(Path::new("device.redb"), Box::new(self.clone()), Arc::new(|| SystemTime::UNIX_EPOCH))
    }

    fn rows(&self) -> OnDevice {
        OnDevice { device: self.clone(), is_rows: true }
    }
}

impl Place for Device {
    fn open(&self, mode: Mode) -> Result<Database, DatabaseError> {
        let file = self.rows();
        let mut builder = Database::builder();
        builder.set_cache_size(1 << 20);
        match mode {
            Mode::Writable => builder.create_with_backend(file),
            Mode::Frozen => builder.create_with_backend(Frozen::new(file)?),
        }
    }

    fn log(&self) -> io::Result<Option<Box<dyn StorageBackend>>> {
        if self.disk().log.seen.is_empty() { Ok(None) } else { self.make_log().map(Some) }
    }

    fn make_log(&self) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(OnDevice { device: self.clone(), is_rows: false }))
    }

    fn log_bytes(&self) -> usize {
        LOG_BYTES
    }

    fn probe(&self, _bytes: usize) -> io::Result<()> {
        let disk = self.disk();
        match disk.fails {
            Some((first, kind)) if disk.operations >= first => Err(kind.into()),
            _ => Ok(()),
        }
    }
}

/// A file of a device.
#[derive(Clone)]
struct OnDevice {
    device: Device,
    is_rows: bool,
}

impl std::fmt::Debug for OnDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnDevice")
    }
}

impl OnDevice {
    fn contents<T>(&self, with: impl FnOnce(&mut Contents) -> T) -> T {
        let disk = &mut *self.device.disk();
        with(if self.is_rows { &mut disk.rows } else { &mut disk.log })
    }

    /// The file, after one more write or sync, if that does not fail.
    fn operate(&self, with: impl FnOnce(&mut Contents) -> io::Result<()>) -> io::Result<()> {
        let _free = self.is_rows.then(|| self.device.1.lock().unwrap());
        let mut disk = self.device.disk();
        disk.operations += 1;
        match disk.fails {
            Some((first, kind)) if disk.operations >= first => return Err(kind.into()),
            _ => drop(disk),
        }
        self.contents(with)
    }
}

impl StorageBackend for OnDevice {
    fn len(&self) -> io::Result<u64> {
        Ok(self.contents(|file| file.seen.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        self.contents(|file| {
            let bytes = file.seen.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(bytes);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.operate(|file| {
            file.seen.resize(usize::try_from(len).unwrap(), 0);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.operate(|file| {
            file.safe = file.seen.clone();
            file.unsynced.clear();
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        self.operate(|file| {
            file.seen
                .get_mut(offset..offset + data.len())
                .ok_or(io::ErrorKind::UnexpectedEof)?
                .copy_from_slice(data);
            file.unsynced.push((offset, data.to_vec()));
            Ok(())
        })
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
        let device = formatted.after_crash(|| true);
        let Some(acknowledged) = run_until_failure(&device, points, io::ErrorKind::Other) else { break };
        // Of what was not synced, all may be lost, none, or some.
        let mut seed = points as u32;
        let mut some = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 31 == 1
        };
        let mut second = false;
        let mut every_second = || {
            second = !second;
            second
        };
        let kept: [&mut dyn FnMut() -> bool; 4] = [&mut || false, &mut || true, &mut every_second, &mut some];
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
            // And it goes on from there, with a version that no entry has.
            let entries = shelf.page(&bucket(), Range::default(), crate::rows::whole).unwrap().items;
            let newest = entries.into_iter().map(|(_, entry)| entry.version).max().unwrap_or_default();
            assert!(write(&shelf, count).unwrap().version > newest);
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
            let device = formatted.after_crash(|| true);
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

/// A disk that lost its power after so many writes, of which the first is in the file, and the others are in the log.
fn logged(writes: usize) -> Device {
    let device = formatted();
    let shelf = device.open().unwrap();
    (0..writes).for_each(|n| drop(write(&shelf, n).unwrap()));
    // As it was before the file is closed.
    device.after_crash(|| true)
}

/// Where the records of the log begin: what bears the salt of the first of its half.
fn records(log: &[u8]) -> Vec<usize> {
    let halves = [0, LOG_BYTES / 2].into_iter().filter(|half| log[*half..half + 16] != [0; 16]);
    let of_half = |half: usize| {
        let starts = (half..half + LOG_BYTES / 2).step_by(64);
        starts.filter(move |start| log[*start..].starts_with(&log[half..half + 16]))
    };
    halves.flat_map(of_half).collect()
}

/// Damages each record in turn: only the last may be torn, which is as if the power had been lost before it was written.
fn damage(device: &Device, writes: usize, last: usize) {
    let starts = records(&device.disk().log.seen);
    for start in starts {
        for byte in [0, 20, 27, 35, 50, 80] {
            let device = device.after_crash(|| true);
            device.disk().log.seen[start + byte] ^= 1;
            match device.open() {
                Ok(shelf) => {
                    assert_eq!(start, last, "byte {byte}");
                    assert_eq!(contents(&shelf), expected(writes - 1));
                    write(&shelf, writes - 1).unwrap();
                    assert_eq!(contents(&shelf), expected(writes));
                }
                Err(Error::Corrupt { path, .. }) => {
                    assert!(start != last, "byte {byte} of the last record");
                    assert_eq!(path, Path::new("device.log"));
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

#[test]
fn of_a_log_only_the_last_record_may_be_torn() {
    let device = logged(4);
    let starts = records(&device.disk().log.seen);
    assert_eq!(starts.len(), 3);
    damage(&device, 4, starts[2]);
    device.disk().log.seen.truncate(LOG_BYTES / 2);
    assert!(matches!(device.open(), Err(Error::Corrupt { .. })));
}

#[test]
fn the_log_goes_on_while_the_file_is_synced_with_its_other_half() {
    let device = formatted();
    let shelf = device.open().unwrap();
    (0..4).for_each(|n| drop(write(&shelf, n).unwrap()));
    // From here on the file is not written: the next has no room beside the three.
    let synced = device.1.lock().unwrap();
    (4..6).for_each(|n| drop(write(&shelf, n).unwrap()));
    assert_eq!(contents(&shelf), expected(6));
    let crashed = device.after_crash(|| true);
    drop(synced);
    let starts = records(&crashed.disk().log.seen);
    assert_eq!(starts.len(), 5);
    assert_eq!(contents(&crashed.after_crash(|| true).open().unwrap()), expected(6));
    // The other half comes first.
    let last = starts.into_iter().filter(|start| *start < LOG_BYTES / 2).max().unwrap();
    damage(&crashed, 6, last);
    // And when it is in the file, all is as it was.
    (6..12).for_each(|n| drop(write(&shelf, n).unwrap()));
    assert_eq!(contents(&shelf), expected(12));
    assert_eq!(contents(&device.after_crash(|| false).open().unwrap()), expected(12));
}

#[test]
fn who_takes_a_log_away_goes_on_without_it() {
    let device = logged(4);
    device.disk().log = Contents::default();
    assert_eq!(contents(&device.open().unwrap()), expected(1));
    // What was closed needs none.
    let device = logged(4);
    drop(device.open().unwrap());
    device.disk().log = Contents::default();
    assert_eq!(contents(&device.open().unwrap()), expected(4));
}

/// What a sync that failed left on the disk, nobody knows: not even a sync that succeeds later.
#[test]
fn a_log_that_failed_is_not_written_again_before_the_file_was() {
    let device = logged(2);
    let shelf = device.open().unwrap();
    // The record is written, and not synced.
    let sync = device.disk().operations + 2;
    device.disk().fails = Some((sync, io::ErrorKind::Other));
    write(&shelf, 2).unwrap_err();
    let log = device.disk().log.seen.clone();
    assert_eq!(records(&log).len(), 2);
    device.disk().fails = None;
    assert_eq!(contents(&shelf), expected(3));
    write(&shelf, 3).unwrap();
    assert!(device.disk().log.seen == log);
    let crashed = device.after_crash(|| false);
    crashed.disk().log = Contents::default();
    assert_eq!(contents(&crashed.open().unwrap()), expected(4));
    write(&shelf, 4).unwrap();
    assert_eq!(contents(&device.after_crash(|| false).open().unwrap()), expected(5));
}

/// Who can write values can write what looks like records, also where a log once had some.
#[test]
fn what_a_program_writes_is_never_taken_for_a_record() {
    let device = logged(4);
    let old = device.disk().log.seen[LOG_BYTES / 2..].to_vec();
    let shelf = device.open().unwrap();
    // Until the half that they are in is written again, and they are behind what is new.
    (4..12).for_each(|n| drop(write(&shelf, n).unwrap()));
    assert_eq!(contents(&device.after_crash(|| true).open().unwrap()), expected(12));
    // And as a value, at each place that a record may be at.
    for shift in 0..64 {
        let value = [vec![0; shift], old[..2_048].to_vec()].concat();
        shelf.write(&bucket(), Batch::default().put("records", value.clone())).wait().unwrap();
        let crashed = device.after_crash(|| true).open().unwrap();
        assert_eq!(crashed.get(&bucket(), b"records").unwrap().unwrap().value, value);
        shelf.write(&bucket(), Batch::default().delete("records")).wait().unwrap();
        assert_eq!(contents(&device.after_crash(|| true).open().unwrap()), expected(12));
    }
}
