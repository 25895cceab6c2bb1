//! What a durable write costs: one at a time, and many at once, for whom one flush of the disk pays.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use state::{Batch, Bucket, BucketSpec, Durability, Embedded, Store};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::contest::{Benchmark, Contestant, Sample};

/// How many write at once.
const WRITERS: [(&str, u32); 3] = [("1 writer", 1), ("64 writers", 64), ("256 writers", 256)];

/// Bytes of each value.
const VALUE_BYTES: usize = 100;

/// The store of a benchmark, and the directory that is removed with it.
struct Kept {
    store: Embedded,
    bucket: Bucket,
    dir: PathBuf,
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Puts by so many writers, each of which waits for its own to be on the disk.
pub(crate) fn benchmark(check: bool) -> Result<Benchmark> {
    let time = Duration::from_millis(if check { 10 } else { 1_000 });
    let dir = std::env::current_dir()?.join(format!("target/bench-store-{}", std::process::id()));
    let store = Embedded::open(&dir, Arc::new(SystemTime::now))?;
    let bucket = Bucket::new(BucketSpec::new("bench", "puts", Durability::Disk))?;
    store.open(&bucket)?;
    let kept = Arc::new(Kept { store, bucket, dir });
    let contestants = WRITERS.map(|(name, writers)| {
        let kept = Arc::clone(&kept);
        Contestant { name, run: Box::new(move || puts(&kept, writers, time)) }
    });
    Ok(Benchmark {
        name: "a durable put of 100 bytes: time and processor time of each".to_owned(),
        contestants: contestants.into(),
    })
}

/// As functions of a node do: tasks of one thread.
fn puts(kept: &Arc<Kept>, writers: u32, time: Duration) -> Result<Sample> {
    let runtime = Builder::new_current_thread().build()?;
    let (begun, cpu_ns) = (Instant::now(), cpu_ns()?);
    let done = runtime.block_on(async {
        let mut writing = JoinSet::new();
        for writer in 0..writers {
            let kept = Arc::clone(kept);
            writing.spawn(async move {
                let mut puts = 0_u32;
                while begun.elapsed() < time {
                    let key = (writer << 20 | puts).to_be_bytes();
                    kept.store.write(&kept.bucket, Batch::default().put(key, [7; VALUE_BYTES])).await?;
                    puts += 1;
                }
                Ok::<_, state::Error>(puts)
            });
        }
        writing.join_all().await.into_iter().sum::<Result<u32, _>>()
    })?;
    let each = |ns: f64| ns / f64::from(done);
    let (time_ns, cpu_ns) = (each(begun.elapsed().as_nanos() as f64), each(self::cpu_ns()? - cpu_ns));
    Ok(Sample { time_ns, cpu_ns: Some(cpu_ns), memory_bytes: None })
}

/// What all threads of this process have used.
fn cpu_ns() -> Result<f64> {
    let mut all = 0.0;
    for task in std::fs::read_dir("/proc/self/task")? {
        // A thread that has ended is not counted.
        let Ok(used) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let used = used.split_whitespace().next().context("a thread has used some time")?;
        all += used.parse::<f64>()?;
    }
    Ok(all)
}
