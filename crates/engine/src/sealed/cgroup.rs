//! The control group: memory, processors and processes of the whole process, held by the kernel.
//!
//! It is made below the group that this process is in, so that it never has more than that one; or, where the second
//! version of control groups does not let a group with processes have groups with limits, beside it.
//!
//! Whoever made a group holds a lock on its directory as long as he lives: so one that is nobody's any more is told from
//! others, whatever numbers processes have, and in which namespace.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;

use super::layer::{Layer, State, plain};
use super::{Plan, THREADS_MAX};
use crate::limits::{CGROUP_MAKE_PAUSE, CGROUP_MAKES_MAX, CGROUPS_BESIDE_MAX};

/// How the names of the groups begin; the supervisor's process number follows, and which of its groups it is.
const PREFIX: &str = "sampan-";

/// The time over which the processors that were used are counted.
const PERIOD_US: u64 = 100_000;

/// Where the kernel tells where its file systems are.
const MOUNTS: &str = "/proc/self/mountinfo";
/// Bytes that most of these texts have at the most.
const TEXT_BYTES: usize = 16 << 10;
/// In which groups this process is.
const OWN: &str = "/proc/self/cgroup";

/// The groups of one sealed process. They are removed when this is dropped, which should be when it has ended.
pub(super) struct Cgroup {
    /// One for each controller where there are several trees, as in the first version.
    groups: Vec<Group>,
    /// Controllers that cannot be had, and why.
    refused: Vec<(&'static str, String)>,
}

struct Group {
    directory: PathBuf,
    unified: bool,
    controller: &'static str,
    /// Its directory, which is locked.
    _held: File,
}

/// What a group is told: the file, and what is written to it.
type Setting = (&'static str, String);

/// Controllers that each process has, and the one that some have.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];
/// See [`CONTROLLERS`].
const PROCESSORS: &str = "cpu";

/// The controllers that are wanted, with their settings in both versions.
fn wanted(plan: &Plan) -> Vec<(&'static str, Vec<Setting>, Vec<Setting>)> {
    let memory = plan.process_bytes_max().to_string();
    let mut wanted = vec![
        (
            "memory",
            vec![("memory.limit_in_bytes", memory.clone())],
            vec![("memory.max", memory), ("memory.swap.max", "0".to_owned())],
        ),
        ("pids", vec![("pids.max", THREADS_MAX.to_string())], vec![("pids.max", THREADS_MAX.to_string())]),
    ];
    if let Some(processors) = plan.processors {
        let quota = (processors * PERIOD_US as f64) as u64;
        wanted.push((
            PROCESSORS,
            vec![("cpu.cfs_period_us", PERIOD_US.to_string()), ("cpu.cfs_quota_us", quota.to_string())],
            vec![("cpu.max", format!("{quota} {PERIOD_US}"))],
        ));
    }
    wanted
}

/// Makes the groups that can be made, without limits yet; one for processors only where it `limits_processors`.
pub(super) fn create(limits_processors: bool) -> Cgroup {
    // In another namespace there may be a supervisor of the same number, and before this one there may have been one.
    static MADE: LazyLock<AtomicU32> =
        LazyLock::new(|| AtomicU32::new(RandomState::new().hash_one(()) as u32));
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let name = format!("{PREFIX}{}-{number}", std::process::id());
    let trees = Trees::read();
    let mut cgroup = Cgroup { groups: Vec::new(), refused: Vec::new() };
    for controller in CONTROLLERS.into_iter().chain(limits_processors.then_some(PROCESSORS)) {
        match trees.as_ref().map_err(plain).and_then(|trees| trees.group(controller, &name)) {
            Ok(group) => cgroup.groups.push(group),
            Err(why) => cgroup.refused.push((controller, why)),
        }
    }
    cgroup
}

/// What holds the same, or nearly, where a controller cannot be had.
fn replacement(controller: &str) -> Option<&'static str> {
    // SAFETY: the call cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    match controller {
        "memory" => Some("a limit on what the process may map and write to"),
        // The limit on processes is not for root.
        "pids" if !is_root => Some("a limit on the processes of this user in the namespace"),
        _ => None,
    }
}

/// What a process must know to enter its groups.
pub(super) struct Entrance {
    /// The files into which it writes.
    lists: Vec<PathBuf>,
    /// Whether memory is limited by a group.
    pub(super) holds_memory: bool,
}

impl Entrance {
    /// Puts this process, which has one thread, into the groups.
    pub(super) fn enter(&self) -> io::Result<()> {
        self.lists.iter().try_for_each(|list| fs::write(list, "0"))
    }

    /// As a message.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.holds_memory)];
        for list in &self.lists {
            bytes.extend(list.as_os_str().as_bytes());
            bytes.push(0);
        }
        bytes
    }

    /// See [`to_bytes`](Self::to_bytes).
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (holds_memory, lists) = bytes.split_first()?;
        let lists = lists.split(|byte| *byte == 0).filter(|list| !list.is_empty());
        let lists = lists.map(|list| PathBuf::from(OsStr::from_bytes(list))).collect();
        Some(Self { lists, holds_memory: *holds_memory == 1 })
    }
}

impl Cgroup {
    /// Sets the limits of a plan; a layer for each controller says how it went.
    pub(super) fn limit(&mut self, plan: &Plan) -> Vec<Layer> {
        let layers = wanted(plan).into_iter().map(|(controller, first, second)| {
            let layer = format!("{controller} cgroup");
            if let Some(group) = self.groups.iter().find(|group| group.controller == controller)
                && let Err(error) = group.set(if group.unified { &second } else { &first })
            {
                self.refused.push((controller, plain(&error)));
            }
            let refused = self.refused.iter().find(|(refused, _)| *refused == controller);
            Layer::new(
                &layer,
                match refused {
                    None => State::Held(String::new()),
                    Some((_, why)) => match replacement(controller) {
                        Some(by) => State::Replaced(format!("{why}; {by}")),
                        None => State::Refused(why.clone()),
                    },
                },
            )
        });
        layers.collect()
    }

    /// The way into the groups.
    pub(super) fn entrance(&self) -> Entrance {
        let list = |group: &Group| {
            // For a thread that moves by itself the kernel need not stop all others, which takes milliseconds. In the
            // second version a process moves as a whole only.
            group.directory.join(if group.unified { "cgroup.procs" } else { "tasks" })
        };
        Entrance { lists: self.groups.iter().map(list).collect(), holds_memory: self.holds_memory() }
    }

    /// Whether memory is limited by a group.
    pub(super) fn holds_memory(&self) -> bool {
        !self.refused.iter().any(|(controller, _)| *controller == "memory")
    }

    /// Whether the kernel ended a process of the group because it had no more memory to give.
    pub(super) fn is_out_of_memory(&self) -> bool {
        self.groups.iter().filter(|group| group.controller == "memory").any(|group| {
            let file = if group.unified { "memory.events" } else { "memory.oom_control" };
            let text = fs::read_to_string(group.directory.join(file)).unwrap_or_default();
            let killed = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
            killed.is_some_and(|count| count.trim() != "0")
        })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for group in &self.groups {
            // Where it cannot be removed now, a later run removes it: it is nobody's from now on.
            let _ = fs::remove_dir(&group.directory);
        }
    }
}

impl Group {
    fn set(&self, settings: &[Setting]) -> io::Result<()> {
        for (file, value) in settings {
            match fs::write(self.directory.join(file), value) {
                // A kernel that has no swap has no limit on it.
                Err(error) if error.kind() == ErrorKind::NotFound && file.contains("swap") => {}
                written => written?,
            }
        }
        Ok(())
    }
}

/// The trees of control groups that are mounted, and where this process is in each.
struct Trees(Vec<Tree>);

struct Tree {
    /// `None` in the second version, whose tree has all that are not elsewhere.
    controllers: Option<Vec<String>>,
    own: PathBuf,
    /// The group that the own one is in, if that is there too.
    above: Option<PathBuf>,
}

impl Tree {
    /// Where groups may have been left behind: in the own group, and in those beside it, for whoever starts this process may
    /// have had another one for the last.
    fn places(&self) -> impl Iterator<Item = PathBuf> {
        let beside =
            self.above.iter().filter_map(|above| fs::read_dir(above).ok()).flatten().take(CGROUPS_BESIDE_MAX);
        let beside = beside.filter_map(|entry| Some(entry.ok()?.path())).filter(|place| *place != self.own);
        [Some(self.own.clone()), self.above.clone()].into_iter().flatten().chain(beside)
    }
}

impl Trees {
    fn read() -> io::Result<Self> {
        Ok(Self::parse(&read(MOUNTS)?, &read(OWN)?))
    }

    fn parse(mounts: &str, own: &str) -> Self {
        let own = |wanted: &dyn Fn(&str) -> bool| {
            own.lines().find_map(|line| {
                let mut fields = line.splitn(3, ':').skip(1);
                let controllers = fields.next()?;
                wanted(controllers).then(|| fields.next()).flatten()
            })
        };
        let tree = |line: &str| {
            let (before, after) = line.split_once(" - ")?;
            let mut before = before.split(' ').skip(3);
            let (root, point) = (before.next()?, before.next()?);
            let mut after = after.split(' ');
            let kind = after.next()?;
            let controllers: Vec<String> = after.nth(1)?.split(',').map(str::to_owned).collect();
            let (controllers, path) = match kind {
                "cgroup2" => (None, own(&str::is_empty)?),
                "cgroup" => {
                    let path = own(&|names: &str| {
                        names.split(',').all(|name| controllers.iter().any(|c| c == name))
                    })?;
                    (Some(controllers), path)
                }
                _ => return None,
            };
            // A container sees a part of the tree.
            let below =
                Path::new(path).strip_prefix(root).or_else(|_| Path::new(path).strip_prefix("/")).ok()?;
            let own = Path::new(point).join(below);
            let above = (!below.as_os_str().is_empty()).then(|| own.parent().map(Path::to_owned)).flatten();
            Some(Tree { controllers, own, above })
        };
        Self(mounts.lines().filter_map(tree).collect())
    }

    /// A new group that this controller limits.
    fn group(&self, controller: &'static str, name: &str) -> Result<Group, String> {
        let has =
            |tree: &&Tree| tree.controllers.as_ref().is_some_and(|all| all.iter().any(|c| c == controller));
        if let Some(tree) = self.0.iter().find(has) {
            return new_group(&tree.own, name, controller, false).map_err(|error| plain(&error));
        }
        let unified =
            self.0.iter().find(|tree| tree.controllers.is_none()).ok_or("there are no control groups")?;
        let mut refused = format!("no group may have limits of `{controller}` here");
        for parent in [Some(&unified.own), unified.above.as_ref()].into_iter().flatten() {
            if !listed(parent, "cgroup.controllers", controller) {
                continue;
            }
            if !listed(parent, "cgroup.subtree_control", controller) {
                // Refused where the group has processes, or is another user's; that is seen below.
                let _ = fs::write(parent.join("cgroup.subtree_control"), format!("+{controller}"));
            }
            if listed(parent, "cgroup.subtree_control", controller) {
                match new_group(parent, name, controller, true) {
                    Ok(group) => return Ok(group),
                    Err(error) => refused = plain(&error),
                }
            }
        }
        Err(refused)
    }
}

/// As `fs::read_to_string`, which would begin with a few bytes where the kernel does not say how many there are.
fn read(path: &str) -> io::Result<String> {
    let mut text = String::with_capacity(TEXT_BYTES);
    File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

fn listed(group: &Path, file: &str, controller: &str) -> bool {
    fs::read_to_string(group.join(file))
        .is_ok_and(|list| list.split_whitespace().any(|one| one == controller))
}

fn new_group(parent: &Path, name: &str, controller: &'static str, unified: bool) -> io::Result<Group> {
    let directory = parent.join(name);
    for _ in 0..CGROUP_MAKES_MAX {
        match fs::create_dir(&directory) {
            // Another controller of the same tree was first.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => made?,
        }
        match hold(&directory) {
            Ok(held) => return Ok(Group { directory, unified, controller, _held: held }),
            // Somebody found it to be nobody's before it was held.
            Err(error) if [ErrorKind::NotFound, ErrorKind::ResourceBusy].contains(&error.kind()) => {
                sleep(CGROUP_MAKE_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::ResourceBusy.into())
}

/// A lock on a group that is there, for as long as this is open.
fn hold(directory: &Path) -> io::Result<File> {
    let held = File::open(directory)?;
    match held.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Err(ErrorKind::ResourceBusy.into()),
        // Where there are no locks, nobody finds that it is nobody's.
        _ if is_at(&held, directory)? => Ok(held),
        _ => Err(ErrorKind::NotFound.into()),
    }
}

/// Whether a directory that was opened is the one that is there now: meanwhile it may have been removed, and another made.
fn is_at(opened: &File, directory: &Path) -> io::Result<bool> {
    let (opened, there) = (opened.metadata()?, fs::metadata(directory)?);
    Ok((opened.dev(), opened.ino()) == (there.dev(), there.ino()))
}

/// Removes the groups that supervisors left behind which were killed. Whether there are others whose processes have not ended
/// yet.
pub(super) fn sweep() -> bool {
    let trees = Trees::read().map(|trees| trees.0).unwrap_or_default();
    let is_ours = |name: &String| name == PROCESSORS || CONTROLLERS.contains(&name.as_str());
    let trees =
        trees.iter().filter(|tree| tree.controllers.as_ref().is_none_or(|all| all.iter().any(is_ours)));
    trees.flat_map(Tree::places).filter(|place| sweep_in(place)).count() > 0
}

fn sweep_in(place: &Path) -> bool {
    let mut is_left = false;
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let directory = entry.path();
        // It is held until it is removed, so that nobody takes it meanwhile.
        if entry.file_name().to_str().is_some_and(is_name)
            && let Ok(held) = File::open(&directory)
            && held.try_lock().is_ok()
            && matches!(is_at(&held, &directory), Ok(true))
            && let Err(error) = fs::remove_dir(&directory)
        {
            // One with a process in it is not removed; one that another user left, that one removes.
            is_left |= error.kind() == ErrorKind::ResourceBusy;
        }
    }
    is_left
}

/// Whether a group is called as those are that are made here.
fn is_name(name: &str) -> bool {
    let numbers = name.strip_prefix(PREFIX).and_then(|numbers| numbers.split_once('-'));
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    numbers.is_some_and(|(pid, number)| is_number(pid) && is_number(number))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn trees(mounts: &str, own: &str) -> Vec<(Option<Vec<String>>, String)> {
        let shown = |tree: Tree| (tree.controllers, tree.own.display().to_string());
        Trees::parse(mounts, own).0.into_iter().map(shown).collect()
    }

    #[test]
    fn the_first_version_has_a_tree_for_each_controller() {
        let mounts = "30 29 0:25 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                      31 29 0:26 / /sys/fs/cgroup/cpu,cpuacct rw shared:3 - cgroup cgroup rw,cpu,cpuacct\n\
                      32 29 0:27 / /proc rw - proc proc rw\n";
        let own = "4:memory:/job/7\n1:cpu,cpuacct:/\n0::/\n";
        let names = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(
            trees(mounts, own),
            [
                (names(&["rw", "memory"]), "/sys/fs/cgroup/memory/job/7".to_owned()),
                (names(&["rw", "cpu", "cpuacct"]), "/sys/fs/cgroup/cpu,cpuacct/".to_owned()),
            ]
        );
    }

    #[test]
    fn the_second_version_has_one_tree_of_which_a_container_sees_a_part() {
        let mounts = "30 29 0:25 /docker/a /sys/fs/cgroup rw - cgroup2 cgroup rw,nsdelegate\n";
        assert_eq!(trees(mounts, "0::/docker/a/b\n"), [(None, "/sys/fs/cgroup/b".to_owned())]);
        assert_eq!(trees(mounts, "0::/\n"), [(None, "/sys/fs/cgroup/".to_owned())]);
    }

    #[test]
    fn in_the_second_version_a_group_is_made_where_the_controller_was_given_on() {
        let tree = tempfile::tempdir().expect("a directory");
        let own = tree.path().join("own");
        fs::create_dir(&own).expect("a directory");
        let above = Some(tree.path().to_owned());
        let trees = Trees(vec![Tree { controllers: None, own: own.clone(), above }]);
        assert_eq!(
            trees.group("memory", "a").err().as_deref(),
            Some("no group may have limits of `memory` here")
        );
        // The group itself has processes, so what it would give on cannot be written; the one above gives on.
        fs::write(own.join("cgroup.controllers"), "cpu memory\n").expect("written");
        fs::create_dir(own.join("cgroup.subtree_control")).expect("a file that cannot be written");
        fs::write(tree.path().join("cgroup.controllers"), "cpu memory\n").expect("written");
        fs::write(tree.path().join("cgroup.subtree_control"), "memory\n").expect("written");
        let group = trees.group("memory", "a").expect("beside the own group");
        assert_eq!(group.directory.parent(), Some(tree.path()));
        group.set(&[("memory.max", "7".to_owned())]).expect("written");
        assert_eq!(fs::read_to_string(group.directory.join("memory.max")).expect("read"), "7");
    }

    #[test]
    fn what_is_nobodys_and_empty_is_removed_and_nothing_else() {
        let place = tempfile::tempdir().expect("a directory");
        let at = |name: &str| place.path().join(name);
        let held = new_group(place.path(), "sampan-1-0", "memory", true).expect("made");
        let again = new_group(place.path(), "sampan-1-0", "pids", true).expect("another controller's too");
        for name in ["sampan-1-1", "sampan-2-0/inside", "sampan-1", "sampan-x-1", "other"] {
            fs::create_dir_all(at(name)).expect("a directory");
        }
        sweep_in(place.path());
        let is_there = |name: &str| at(name).is_dir();
        assert!(!is_there("sampan-1-1"));
        for name in ["sampan-1-0", "sampan-2-0/inside", "sampan-1", "sampan-x-1", "other"] {
            assert!(is_there(name), "{name}");
        }
        drop(held);
        sweep_in(place.path());
        assert!(is_there("sampan-1-0"));
        drop(again);
        // A process that another test starts has the lock, too, until it becomes another program.
        let end = Instant::now() + Duration::from_secs(60);
        while is_there("sampan-1-0") {
            assert!(Instant::now() < end, "it is left");
            sweep_in(place.path());
            sleep(CGROUP_MAKE_PAUSE);
        }
    }

    #[test]
    fn groups_are_looked_for_beside_the_own_one_but_in_no_other_file_system() {
        let mounts = "30 29 0:25 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n";
        let above = |own: &str| Trees::parse(mounts, own).0.remove(0).above;
        assert_eq!(above("3:pids:/\n"), None);
        assert_eq!(above("3:pids:/a/b\n"), Some(PathBuf::from("/sys/fs/cgroup/pids/a")));
    }

    #[test]
    fn who_makes_a_group_and_who_removes_what_is_nobodys_do_not_hinder_each_other() {
        let place = tempfile::tempdir().expect("a directory");
        let is_over = std::sync::atomic::AtomicBool::new(false);
        let failed = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    sweep_in(place.path());
                }
            });
            let make = || {
                let group = new_group(place.path(), "sampan-1-0", "memory", true)?;
                fs::remove_dir(&group.directory)
            };
            let failed = (0..5_000).find_map(|_| make().err());
            is_over.store(true, Ordering::Relaxed);
            failed
        });
        assert!(failed.is_none(), "{failed:?}");
    }
}
