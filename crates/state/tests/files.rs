//! What becomes of a store's files when they are damaged, in use, not writable, or their process is killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use state::{Batch, Bucket, BucketSpec, Durability, Embedded, Error, Expected, Range, Store, limits};
use tempfile::TempDir;

fn open(directory: &Path) -> Result<Embedded, Error> {
    // A child that another test starts has the lock, too, until it becomes another program.
    let end = Instant::now() + Duration::from_secs(1);
    loop {
        match Embedded::open(directory, Arc::new(SystemTime::now)) {
            Err(Error::InUse { .. }) if Instant::now() < end => std::thread::yield_now(),
            opened => return opened,
        }
    }
}

fn bucket(store: &Embedded, durability: Durability) -> Bucket {
    let bucket = Bucket::new(BucketSpec::new("app", format!("{durability} bucket"), durability)).unwrap();
    store.open(&bucket).unwrap();
    bucket
}

fn refused(directory: &Path) -> Error {
    match open(directory) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

#[test]
fn what_is_kept_survives_closing_as_its_class_says() {
    let directory = tempfile::tempdir().unwrap();
    let classes = [(Durability::Memory, false), (Durability::Os, true), (Durability::Disk, true)];
    let store = open(directory.path()).unwrap();
    for (class, _) in classes {
        // Not waited for: closing does.
        drop(store.write(&bucket(&store, class), Batch::default().put("k", "v")));
    }
    drop(store);
    let store = open(directory.path()).unwrap();
    for (class, stays) in classes {
        assert_eq!(store.get(&bucket(&store, class), b"k").unwrap().is_some(), stays, "{class}");
    }
    let elsewhere = Bucket::new(BucketSpec::new("app", "disk bucket", Durability::Os)).unwrap();
    let error = store.open(&elsewhere).unwrap_err();
    assert_eq!(error.to_string(), "bucket `app/disk bucket` is kept as `disk`, and cannot be opened as `os`");
}

#[test]
fn a_store_in_use_is_not_opened_twice() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    assert!(matches!(refused(directory.path()), Error::InUse { path } if path == directory.path()));
    drop(store);
    open(directory.path()).unwrap();
}

#[test]
fn a_damaged_file_is_refused_and_left_as_it_is() {
    for damage in [
        (|_| Vec::new()) as fn(Vec<u8>) -> Vec<u8>,
        |_| b"something else".to_vec(),
        |file| file[..file.len() / 2].to_vec(),
        |file| file[..100].to_vec(),
        |file| vec![0; file.len()],
        |mut file| {
            file[..320].fill(0xff);
            file
        },
    ] {
        let directory = tempfile::tempdir().unwrap();
        drop(bucket(&open(directory.path()).unwrap(), Durability::Disk));
        let path = directory.path().join("disk.redb");
        let damaged = damage(fs::read(&path).unwrap());
        fs::write(&path, &damaged).unwrap();
        let error = refused(directory.path());
        assert!(matches!(&error, Error::Corrupt { path: named, .. } if *named == path), "{error:?}");
        assert!(error.hint().unwrap().contains("restore"));
        assert!(fs::read(&path).unwrap() == damaged, "the file was changed: {} bytes", damaged.len());
    }
}

/// What a process leaves behind that is killed after two writes, which only the log has.
fn killed() -> TempDir {
    let [directory, left] = [(), ()].map(|()| tempfile::tempdir().unwrap());
    let store = open(directory.path()).unwrap();
    let bucket = bucket(&store, Durability::Disk);
    for key in ["first", "second"] {
        store.write(&bucket, Batch::default().put(key, "value")).wait().unwrap();
    }
    for file in ["disk.redb", "disk.log"] {
        fs::copy(directory.path().join(file), left.path().join(file)).unwrap();
    }
    left
}

#[test]
fn a_log_is_read_and_refused_where_it_is_damaged_and_may_be_taken_away() {
    let holds = |directory: &Path| {
        let store = open(directory).unwrap();
        let bucket = bucket(&store, Durability::Disk);
        store.keys(&bucket, Range::default()).unwrap().items
    };
    assert_eq!(holds(killed().path()), [b"first".to_vec(), b"second".to_vec()]);

    let directory = killed();
    let log = directory.path().join("disk.log");
    fs::write(&log, &fs::read(&log).unwrap()[..1_000]).unwrap();
    let error = refused(directory.path());
    assert!(matches!(&error, Error::Corrupt { path, .. } if *path == log), "{error:?}");
    assert!(error.hint().unwrap().contains("move the file away"));
    fs::remove_file(log).unwrap();
    assert_eq!(holds(directory.path()), [[0_u8; 0]; 0]);
}

#[test]
fn where_nothing_can_be_written_it_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    // Not even the superuser writes to these.
    for path in [file.join("store"), file.clone(), "/proc/sampan".into()] {
        let error = refused(&path);
        assert!(matches!(&error, Error::Open { path: named, .. } if *named == path), "{error:?}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_store_that_was_being_made_when_its_process_died_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("disk.new"), "half").unwrap();
    let store = open(directory.path()).unwrap();
    // A file is made for the first bucket of its class.
    bucket(&store, Durability::Disk);
    assert!(!directory.path().join("disk.new").exists() && directory.path().join("disk.redb").exists());
    assert!(!directory.path().join("os.redb").exists());
}

#[test]
fn a_full_queue_refuses_and_loses_nothing_that_it_took() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let bucket = bucket(&store, Durability::Disk);
    let value = vec![0; limits::VALUE_BYTES_MAX];
    // More than the queue holds at once, faster than a commit takes them.
    let writes: Vec<_> =
        (0..12).map(|n| store.write(&bucket, Batch::default().put(format!("{n}"), value.clone()))).collect();
    let results: Vec<_> = writes.into_iter().map(|write| write.wait()).collect();
    assert!(results.iter().any(|result| matches!(result, Err(Error::Busy))));
    for (n, result) in results.iter().enumerate() {
        assert!(matches!(result, Ok(_) | Err(Error::Busy)), "{result:?}");
        assert_eq!(store.get(&bucket, format!("{n}").as_bytes()).unwrap().is_some(), result.is_ok());
    }
}

#[test]
fn of_many_who_swap_at_once_each_wins_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let bucket = bucket(&store, Durability::Os);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut won = 0;
                while won < 50 {
                    let found = store.get(&bucket, b"n").unwrap();
                    let (expected, n) = match found {
                        Some(entry) => (Expected::Version(entry.version), entry.value[0] + 1),
                        None => (Expected::Absent, 1),
                    };
                    match store.write(&bucket, Batch::default().swap("n", expected, Some(vec![n]))).wait() {
                        Ok(_) => won += 1,
                        Err(Error::Conflict { .. }) => (),
                        Err(error) => panic!("{error:?}"),
                    }
                }
            });
        }
    });
    assert_eq!(store.get(&bucket, b"n").unwrap().unwrap().value, [200]);
}

/// Where the child writes. Only the child has it.
const CHILD: &str = "STATE_TEST_CHILD_DIRECTORY";

/// Writes until it is killed when it is the child of the test below, and does nothing otherwise.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let store = open(directory.as_ref()).unwrap();
    let buckets = [Durability::Os, Durability::Disk].map(|class| bucket(&store, class));
    loop {
        for bucket in &buckets {
            let receipt =
                store.write(bucket, Batch::default().increment("count", 1).increment("again", 1)).wait();
            println!("\nacknowledged {} {}", bucket.spec().durability, receipt.unwrap().counters[0]);
        }
    }
}

#[test]
fn what_was_acknowledged_survives_its_process_being_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut last = [0_i64; 2];
    for round in 0..10 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_until_it_is_killed", "--nocapture"])
            .env(CHILD, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut note = |line: String| {
            let words: Vec<_> = line.split(' ').collect();
            let ["acknowledged", class, count] = words[..] else { return false };
            last[usize::from(class == "disk")] = count.parse().unwrap();
            true
        };
        // Killed while it is anywhere in what comes after the so-manieth acknowledgement; in round 0 after the first.
        let mut left = 1 + round * 13 % 40;
        while left > 0 {
            left -= usize::from(note(lines.next().expect("the child writes")));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            note(line);
        }
        let store = open(directory.path()).unwrap();
        for (class, last) in [Durability::Os, Durability::Disk].into_iter().zip(&mut last) {
            let bucket = bucket(&store, class);
            let count = |key: &str| {
                let entry = store.get(&bucket, key.as_bytes()).unwrap();
                entry.map_or(0, |entry| String::from_utf8(entry.value).unwrap().parse::<i64>().unwrap())
            };
            // The write that was on its way may be there, whole.
            assert!((*last..=*last + 1).contains(&count("count")), "{class}: {} of {last}", count("count"));
            assert_eq!(count("count"), count("again"));
            *last = count("count");
        }
    }
}
