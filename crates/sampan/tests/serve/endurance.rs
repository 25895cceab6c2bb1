//! Processes of sealed functions that are killed at random under load: nothing that was acknowledged is lost, and nothing
//! leaks. It takes as many seconds as `SAMPAN_ENDURE` says; a few where nobody says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::WAIT;
use crate::app::{App, Served};
use crate::client::{Connection, Request};

/// Three counters that share a bucket. One has a process that stands by.
const APP: &str = r#"
    [functions.first]
    program = "$GUESTS/app/counter.wasm"
    profile = "sealed"
    grants = { buckets = ["counts"] }
    [functions.second]
    program = "$GUESTS/app/counter.wasm"
    profile = "sealed"
    grants = { buckets = ["counts"] }
    spare = 1
    [functions.third]
    program = "$GUESTS/app/counter.wasm"
    profile = "sealed"
    reuse = 2
    grants = { buckets = ["counts"] }
    [buckets.counts]
    durability = "os"
    [[routes]]
    path = "/first"
    function = "first"
    [[routes]]
    path = "/second"
    function = "second"
    [[routes]]
    path = "/third"
    function = "third"
"#;

const FUNCTIONS: [&str; 3] = ["/first", "/second", "/third"];

/// The zygote, a process for each function, the one of a function that stands by, and the one that does so for all.
const PROCESSES: usize = 6;

/// How long nothing changes when all are there.
const STEADY: Duration = Duration::from_secs(1);

/// Time from one look at what there is to the next: the kernel may take very long to put away a process whose files others read
/// all the time.
const LOOK: Duration = Duration::from_millis(50);

/// Deaths that there are at least.
const DEATHS_MIN: usize = 8;

/// Descriptors that the node may have more of afterwards: those of connections that are not closed yet.
const DESCRIPTORS_MORE: usize = 8;

/// And bytes that it may hold more: what allocators keep, which does not grow with the time that this takes.
const MEMORY_MORE_BYTES: u64 = 64 << 20;

/// What a node has of the system.
#[derive(Debug)]
struct Had {
    /// How many of each kind.
    kinds: BTreeMap<String, usize>,
    descriptors: usize,
    mounts: usize,
    groups: usize,
}

impl Had {
    fn of(served: &Served) -> Self {
        let node = format!("/proc/{}", served.pid());
        let mounts = fs::read_to_string(format!("{node}/mountinfo")).expect("it runs");
        let mut kinds = BTreeMap::new();
        for descriptor in fs::read_dir(format!("{node}/fd")).expect("it runs").flatten() {
            // One that is closed meanwhile is none.
            let Ok(of) = fs::read_link(descriptor.path()) else { continue };
            let kind = of
                .to_string_lossy()
                .split(|c: char| c.is_ascii_digit())
                .next()
                .unwrap_or_default()
                .to_owned();
            *kinds.entry(kind).or_default() += 1;
        }
        Self {
            descriptors: kinds.values().sum(),
            kinds,
            mounts: mounts.lines().count(),
            groups: groups_of(served.pid()).len(),
        }
    }
}

/// The control groups of a node's processes, in all trees.
pub(crate) fn groups_of(node: u32) -> BTreeSet<String> {
    let mut groups = BTreeSet::new();
    find_groups(Path::new("/sys/fs/cgroup"), &format!("sampan-{node}-"), &mut groups);
    groups
}

/// Those whose names begin so.
fn find_groups(below: &Path, prefix: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(prefix) {
                found.insert(name);
            } else {
                find_groups(&entry.path(), prefix, found);
            }
        }
    }
}

/// Numbers that look random, and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Has others stop when it is dropped, also by a panic.
struct Stops<'s>(&'s AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Counts until it is to stop; what the last answer that was well said. Who gets another answer asks again.
fn count(served: &Served, path: &str, stopped: &AtomicBool) -> (usize, usize) {
    let (mut acknowledged, mut last) = (0, 0);
    let mut connection: Connection = served.connect();
    while !stopped.load(Ordering::Relaxed) {
        let answer = connection.ask(&Request::new("POST", path));
        match answer.status {
            200 => {
                let count = answer.text().parse().expect("a number");
                assert!(count > last, "{path}: {count} comes after {last}");
                (acknowledged, last) = (acknowledged + 1, count);
            }
            500 => {}
            status => panic!("{path}: {status}: {}", answer.text()),
        }
    }
    (acknowledged, last)
}

/// Waits until so many processes are there again, and each function answers.
#[track_caller]
fn settle(served: &Served) {
    let begun = Instant::now();
    let answers = |path: &&str| served.get(path).status == 200;
    while !FUNCTIONS.iter().all(answers) || served.all_descendants().len() != PROCESSES {
        assert!(
            begun.elapsed() < WAIT,
            "{:?}, {:?}: {}",
            served.all_descendants(),
            served.makers(),
            served.said()
        );
        thread::sleep(LOOK);
    }
}

/// What a node has when all processes are there, and none is being made any more.
#[track_caller]
fn steady(served: &Served) -> Had {
    // Nobody is asked from then on: connections come and go, too.
    settle(served);
    let begun = Instant::now();
    let (mut had, mut since) = (Had::of(served), begun);
    while since.elapsed() < STEADY {
        thread::sleep(LOOK);
        let now = Had::of(served);
        if now.groups != had.groups || now.kinds != had.kinds {
            (had, since) = (now, Instant::now());
        }
        assert!(begun.elapsed() < WAIT, "{had:?}");
    }
    had
}

#[test]
fn processes_die_at_random_and_nothing_is_lost_or_left_behind() {
    let seconds = std::env::var("SAMPAN_ENDURE").ok().map(|text| text.parse().expect("seconds"));
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(3));
    let served = App::new(APP).serve();
    let (before, bytes) = (steady(&served), served.resident_bytes());
    let stopped = AtomicBool::new(false);
    let mut deaths = 0;
    thread::scope(|scope| {
        let counting: Vec<_> =
            FUNCTIONS.iter().map(|path| (path, scope.spawn(|| count(&served, path, &stopped)))).collect();
        let stops = Stops(&stopped);
        let mut random = Random(7);
        while deaths < DEATHS_MIN || Instant::now() < until {
            // Also the zygote, and those that stand by.
            let living = served.all_descendants();
            let one = living[random.below(living.len())];
            // It may have ended by itself.
            let killed = Command::new("kill").args(["-KILL", &one.to_string()]).status();
            deaths += usize::from(killed.expect("`kill`").success());
            // Requests are answered in between.
            let answered = served.get(FUNCTIONS[random.below(FUNCTIONS.len())]);
            assert!([200, 500].contains(&answered.status), "{answered:?}");
        }
        drop(stops);
        for (path, counting) in counting {
            let (acknowledged, last) = counting.join().expect("a client does not panic");
            settle(&served);
            let kept: usize = served.text(path).parse().expect("a number");
            assert!(kept >= last && last >= acknowledged, "{path}: {kept}, {last}, {acknowledged}");
        }
    });
    // What belonged to the last that died is put away a moment after its death.
    let begun = Instant::now();
    let after = loop {
        settle(&served);
        let after = Had::of(&served);
        let is_put_away = after.descriptors <= before.descriptors + DESCRIPTORS_MORE
            && after.mounts == before.mounts
            && after.groups == before.groups;
        if is_put_away || begun.elapsed() >= WAIT {
            break after;
        }
        thread::sleep(LOOK);
    };
    assert!(after.descriptors <= before.descriptors + DESCRIPTORS_MORE, "{before:?}, then {after:?}");
    let is_put_away = after.mounts == before.mounts && after.groups == before.groups;
    assert!(is_put_away, "{before:?}, then {after:?}, after {deaths} deaths");
    let more = served.resident_bytes().saturating_sub(bytes);
    assert!(more <= MEMORY_MORE_BYTES, "{more} bytes more after {deaths} deaths");
    let said = served.stop();
    assert!(said.contains("its process was ended by signal 9"), "{said}");
}
