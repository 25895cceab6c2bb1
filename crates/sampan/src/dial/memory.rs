//! What an instance holds that waits, alone and among many.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::contestant::{Contestant, Ground, Kind, Task};
use super::process::{Waiting, peak_bytes};

/// To start so many may take so long, by what it took to start fewer.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// What was measured with so many instances at the same time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Memory {
    pub(crate) instances: u32,
    /// Bytes that each of them holds; what they share is divided among them.
    pub(crate) bytes_each: Option<f64>,
    /// How it was measured, or why it was not.
    pub(crate) how: String,
}

/// Measures with each of these counts, which grow.
pub(crate) fn measure(
    contestant: Contestant,
    task: &Task,
    input: Option<&Path>,
    counts: &[u32],
    ground: &Ground,
) -> Vec<Memory> {
    let mut found: Vec<Memory> = Vec::new();
    let mut last = (0, Duration::ZERO);
    for &instances in counts {
        let why = found.last().and_then(|before| reason_to_stop(before, last, instances));
        let measured = match why {
            Some(why) => Err(why),
            None => measure_one(contestant, task, instances, ground).map_err(|error| error.to_string()),
        };
        let measured = measured.map(|found| {
            found.map(|(bytes, took)| {
                last = (instances, took);
                bytes
            })
        });
        found.push(match measured {
            Ok(Some(bytes)) => {
                let how = "each waits for standard input".to_owned();
                Memory { instances, bytes_each: Some(bytes / f64::from(instances)), how }
            }
            Ok(None) if instances == 1 => {
                let bytes = contestant
                    .command(task, &ground.cache(), ground)
                    .and_then(|mut command| peak_bytes(&mut command, input));
                let how = "it does not wait for standard input: the most that was seen while it ran";
                Memory { instances, bytes_each: bytes.ok().flatten(), how: how.to_owned() }
            }
            Ok(None) => not(instances, "it does not wait for standard input".to_owned()),
            Err(why) => not(instances, why),
        });
    }
    found
}

fn not(instances: u32, how: String) -> Memory {
    Memory { instances, bytes_each: None, how }
}

/// Bytes that all of them hold together, and how long it took until all of them waited. `None` if they do not.
fn measure_one(
    contestant: Contestant,
    task: &Task,
    instances: u32,
    ground: &Ground,
) -> io::Result<Option<(f64, Duration)>> {
    let commands = match contestant.crowd(task, Some(instances), ground)? {
        Some(crowd) => vec![crowd],
        None => {
            let command = |_| contestant.command(task, &ground.cache(), ground);
            (0..instances).map(command).collect::<io::Result<_>>()?
        }
    };
    let begun = Instant::now();
    let Some(waiting) = Waiting::begin(commands)? else {
        return Ok(None);
    };
    Ok(Some((waiting.memory_bytes()?, begun.elapsed())))
}

/// Why there are not to be so many, after so many took so much.
fn reason_to_stop(before: &Memory, (count, took): (u32, Duration), instances: u32) -> Option<String> {
    let Some(each) = before.bytes_each else {
        return Some(before.how.clone());
    };
    if !before.how.starts_with("each") {
        return Some("it does not wait for standard input".to_owned());
    }
    let needed = each * f64::from(instances);
    let free = free_bytes().unwrap_or(f64::INFINITY);
    if needed > free / 2.0 {
        return Some(format!("{:.1} GiB are free, and it would take up to {:.1}", free / GIB, needed / GIB));
    }
    let more = took.mul_f64(f64::from(instances) / f64::from(count.max(1)));
    if count > 1 && more > START_TIME_MAX {
        return Some(format!("to start so many would take {} s", more.as_secs()));
    }
    None
}

const GIB: f64 = (1_u64 << 30) as f64;

fn free_bytes() -> Option<f64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()? * 1024.0)
}

/// Whether instances are in one process, or each in its own: what an instance costs is counted accordingly.
pub(crate) fn share_a_process(contestant: Contestant) -> bool {
    matches!(contestant.kind, Kind::Ours { shares: true, .. })
}
