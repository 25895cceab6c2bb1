//! How long a read takes, how many durable writes one and 64 writers make, and how long it takes to open.
//!
//! `cargo run --release -p state --example measure [DIRECTORY]`; killed, and run again, it opens what it left behind.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use state::{Batch, Bucket, BucketSpec, Durability, Embedded, Store};

const KEYS: u32 = 100_000;
const READS: u32 = 1_000_000;
const WRITING: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory =
        std::env::args().nth(1).map_or_else(std::env::temp_dir, Into::into).join("sampan-measure");
    let open = || Embedded::open(&directory, Arc::new(SystemTime::now));
    let start = Instant::now();
    let store = open()?;
    println!("open: {:?}", start.elapsed());
    for class in [Durability::Memory, Durability::Os, Durability::Disk] {
        let bucket = Bucket::new(BucketSpec::new("app", format!("{class}"), class))?;
        store.open(&bucket)?;
        for part in (0..KEYS).collect::<Vec<_>>().chunks(1_000) {
            let batch = part.iter().fold(Batch::default(), |batch, n| batch.put(n.to_be_bytes(), [7; 100]));
            store.write(&bucket, batch).wait()?;
        }
        let start = Instant::now();
        for n in 0..READS {
            let key = n.wrapping_mul(2_654_435_761) % KEYS;
            assert!(store.get(&bucket, &key.to_be_bytes())?.is_some());
        }
        println!("{class:>6}: get {:.3} us", start.elapsed().as_secs_f64() * 1e6 / f64::from(READS));
        for writers in [1, 4, 16, 64, 256] {
            println!("{class:>6}: {writers:>3} writers: {:.0} puts/s", puts(&store, &bucket, writers));
        }
    }
    drop(store);
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

/// Puts in a second by so many threads, each of which waits for its own.
fn puts(store: &Embedded, bucket: &Bucket, writers: u32) -> f64 {
    let start = Instant::now();
    let write = |writer: u32| {
        let mut puts = 0_u32;
        while start.elapsed() < WRITING {
            let key = (writer << 20 | puts).to_be_bytes();
            if store.write(bucket, Batch::default().put(key, [7; 100])).wait().is_ok() {
                puts += 1;
            }
        }
        puts
    };
    let puts: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..writers).map(|writer| scope.spawn(move || write(writer))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
    });
    f64::from(puts) / start.elapsed().as_secs_f64()
}
