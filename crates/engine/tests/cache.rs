//! The code cache and built files: code that is not whole, or not this user's, is never run, and always replaced.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use engine::wasmtime::{self, Instance};
use engine::{CodeCache, Compiled, Engine, Error, Meter, Profile, Program, Seal, Settings};

const KEY: [u8; 32] = [7; 32];
const ROOMY_BYTES: u64 = 1 << 30;

/// Says to a test that it was started by itself, as the other process that it needs.
const CHILD: &str = "SAMPAN_CACHE_TEST_CHILD";

struct Fixture {
    directory: tempfile::TempDir,
    engine: Engine,
}

impl Fixture {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), engine: engine(&[]) }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("code")
    }

    fn open(&self, bytes_max: u64) -> CodeCache {
        CodeCache::open(self.path(), Seal::new(KEY), bytes_max).unwrap()
    }

    fn load(&self, cache: &CodeCache, answer: u32) {
        assert_eq!(run(&self.engine, &self.engine.load(&program(answer), Some(cache)).unwrap()), answer);
    }

    /// The files of the cache, oldest first.
    fn files(&self) -> Vec<PathBuf> {
        files(&self.path())
    }

    /// Loads the program that gives `answer` and returns the file that this added.
    fn add(&self, cache: &CodeCache, answer: u32) -> PathBuf {
        let before = self.files();
        self.load(cache, answer);
        let mut added = self.files();
        added.retain(|file| !before.contains(file));
        assert_eq!(added.len(), 1, "one file for one program");
        added.remove(0)
    }
}

fn engine(options: &[&str]) -> Engine {
    let mut settings = Settings::new(Profile::Dense);
    options.iter().for_each(|option| settings.set(option).unwrap());
    Engine::new(settings).unwrap()
}

/// A program with one export that gives `answer`. Code for all of them has the same size.
fn program(answer: u32) -> Vec<u8> {
    format!("(module (func (export \"answer\") (result i32) i32.const {answer}))").into_bytes()
}

fn run(engine: &Engine, program: &Program) -> u32 {
    let Compiled::Module(module) = program.compiled() else { panic!("a component") };
    let mut store = engine.store(Meter::new(&engine.settings().limits));
    let instance = Instance::new(&mut store, module, &[]).unwrap();
    let answer = instance.get_typed_func::<(), u32>(&mut store, "answer").unwrap();
    answer.call(&mut store, ()).unwrap()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort_by_key(|file| fs::metadata(file).unwrap().modified().unwrap());
    files
}

fn set_age(path: &Path, age: Duration) {
    File::open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

/// Keeps the file at `path` alive under another name, so that its inode's number is not given to another file.
fn keep(path: &Path) -> (PathBuf, u64) {
    let kept = path.parent().unwrap().parent().unwrap().join("kept");
    fs::hard_link(path, &kept).unwrap();
    let inode = fs::metadata(&kept).unwrap().ino();
    (kept, inode)
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

#[test]
fn the_second_load_takes_the_first_ones_code() {
    let fixture = Fixture::new();
    let cache = fixture.open(ROOMY_BYTES);
    let file = fixture.add(&cache, 1);
    let (_, first) = keep(&file);
    set_age(&file, Duration::from_secs(1_000_000));
    let unused_since = fs::metadata(&file).unwrap().modified().unwrap();

    // Another cache and engine, as in another process.
    let other = engine(&[]);
    assert_eq!(run(&other, &other.load(&program(1), Some(&fixture.open(ROOMY_BYTES))).unwrap()), 1);
    assert_eq!(fixture.files(), std::slice::from_ref(&file));
    assert_eq!(inode(&file), first, "compiled again");
    assert!(fs::metadata(&file).unwrap().modified().unwrap() > unused_since, "not marked as used");
}

/// A file with a program of more than a megabyte that gives `answer`, once its times are old enough to be believed. All
/// such programs have the same size.
fn large_program(path: &Path, answer: u32) {
    let padding = ";".to_owned() + &";".repeat(1 << 20);
    fs::write(
        path,
        format!("(module (func (export \"answer\") (result i32) i32.const {answer}))\n;{padding}"),
    )
    .unwrap();
    let changed = |metadata: fs::Metadata| {
        SystemTime::UNIX_EPOCH + Duration::new(metadata.ctime() as u64, metadata.ctime_nsec() as u32)
    };
    while changed(fs::metadata(path).unwrap()).elapsed().is_ok_and(|age| age < Duration::from_millis(1_100)) {
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_large_program_is_known_by_its_file_until_it_changes() {
    let fixture = Fixture::new();
    let cache = fixture.open(ROOMY_BYTES);
    let path = fixture.directory.path().join("large.wat");
    let answer = || run(&fixture.engine, &fixture.engine.load_file(&path, Some(&cache), || None).unwrap());
    let stamps = || {
        let files = fixture.files();
        files
            .into_iter()
            .filter(|file| file.extension().is_some_and(|end| end == "stamp"))
            .collect::<Vec<_>>()
    };
    large_program(&path, 1);
    assert_eq!((answer(), stamps().len()), (1, 1));
    assert_eq!((answer(), stamps().len()), (1, 1));

    // Another program of the same size, with the old one's time: only the kernel's own time tells.
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    large_program(&path, 2);
    File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_eq!(answer(), 2);

    // A stamp that somebody made to name other code is not believed.
    large_program(&path, 3);
    assert_eq!(answer(), 3);
    let all = stamps();
    let contents: Vec<Vec<u8>> = all.iter().map(|file| fs::read(file).unwrap()).collect();
    for (file, content) in all.iter().zip(contents.iter().cycle().skip(1)) {
        fs::write(file, content).unwrap();
    }
    assert_eq!(answer(), 3);
    for file in all {
        let mut content = fs::read(&file).unwrap();
        content[0] ^= 1;
        fs::write(file, content).unwrap();
    }
    assert_eq!(answer(), 3);

    // Without the code, the program is read and compiled again.
    for file in fixture.files() {
        if file.extension().is_some_and(|end| end == "code") {
            fs::remove_file(file).unwrap();
        }
    }
    assert_eq!(answer(), 3);
}

#[test]
fn engines_with_other_code_have_other_files() {
    let fixture = Fixture::new();
    let cache = fixture.open(ROOMY_BYTES);
    let mut fuelled = Settings::new(Profile::Dense);
    fuelled.limits.fuel_max = Some(1_000_000);
    let engines = [
        engine(&[]),
        engine(&["interrupt=epoch"]),
        engine(&["deterministic=yes"]),
        engine(&["bounds=checked"]),
        Engine::new(Settings::new(Profile::Portable)).unwrap(),
        Engine::new(fuelled).unwrap(),
    ];
    for round in 0..2 {
        for (count, engine) in engines.iter().enumerate() {
            assert_eq!(run(engine, &engine.load(&program(9), Some(&cache)).unwrap()), 9);
            let expected = if round == 0 { count + 1 } else { engines.len() };
            assert_eq!(fixture.files().len(), expected);
        }
    }
}

#[test]
fn a_damaged_file_is_not_run_but_replaced() {
    let fixture = Fixture::new();
    let cache = fixture.open(ROOMY_BYTES);
    let file = fixture.add(&cache, 1);
    let sound = fs::read(&file).unwrap();
    let end = sound.len();
    let flipped = |at: usize| {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let damaged = [
        ("empty", Vec::new()),
        ("cut to one byte", sound[..1].to_vec()),
        ("cut in half", sound[..end / 2].to_vec()),
        ("without its last byte", sound[..end - 1].to_vec()),
        ("without its trailer", sound[..end - 40].to_vec()),
        ("with a byte more", [&sound[..], &[0]].concat()),
        ("flipped in the ELF header", flipped(4)),
        ("flipped in the middle", flipped(end / 2)),
        ("flipped in the last byte of code", flipped(end - 41)),
        ("flipped in the trailer's name", flipped(end - 40)),
        ("flipped in the trailer's hash", flipped(end - 32)),
        ("flipped in the last byte", flipped(end - 1)),
        ("zeros", vec![0; end]),
        ("another program", program(2)),
    ];
    for (what, bytes) in damaged {
        fs::remove_file(&file).unwrap();
        fs::write(&file, bytes).unwrap();
        fixture.load(&cache, 1);
        assert!(fs::read(&file).unwrap() == sound, "a file {what} was not replaced");
    }
    // Every sixteenth byte's every bit, wherever that is.
    for at in (0..end).step_by(end / 64) {
        fs::remove_file(&file).unwrap();
        fs::write(&file, flipped(at)).unwrap();
        fixture.load(&cache, 1);
        assert!(fs::read(&file).unwrap() == sound, "a file flipped at byte {at} was not replaced");
    }
}

#[test]
fn a_file_under_another_ones_name_is_not_run() {
    let fixture = Fixture::new();
    let cache = fixture.open(ROOMY_BYTES);
    let (one, two) = (fixture.add(&cache, 1), fixture.add(&cache, 2));
    let sound = fs::read(&two).unwrap();
    fs::rename(&one, &two).unwrap();
    fixture.load(&cache, 2);
    assert!(fs::read(&two).unwrap() == sound, "not replaced");
    fixture.load(&cache, 1);
}

#[test]
fn a_file_with_another_key_is_not_run() {
    let fixture = Fixture::new();
    let file = fixture.add(&fixture.open(ROOMY_BYTES), 1);
    let foreign = fs::read(&file).unwrap();
    let other = CodeCache::open(fixture.path(), Seal::new([8; 32]), ROOMY_BYTES).unwrap();
    fixture.load(&other, 1);
    let own = fs::read(&file).unwrap();
    assert_eq!(own.len(), foreign.len());
    assert!(own != foreign, "not replaced");
}

#[test]
fn a_built_file_is_not_run_from_the_cache_nor_the_reverse() {
    let fixture = Fixture::new();
    let cache = fixture.open(ROOMY_BYTES);
    let file = fixture.add(&cache, 1);
    let cached = fs::read(&file).unwrap();
    let built = fixture.directory.path().join("built");
    fixture.engine.build(&program(1), &built, &Seal::new(KEY)).unwrap();

    fs::copy(&built, &file).unwrap();
    fixture.load(&cache, 1);
    assert!(fs::read(&file).unwrap() == cached, "not replaced");
    let refused = fixture.engine.load_file(&file, None, || Some(Seal::new(KEY)));
    assert!(matches!(refused, Err(Error::Unsealed)));
}

#[test]
fn the_files_used_longest_ago_make_room() {
    let fixture = Fixture::new();
    let roomy = fixture.open(ROOMY_BYTES);
    let files: Vec<PathBuf> = (0..4).map(|answer| fixture.add(&roomy, answer)).collect();
    for (age, file) in (1..).zip(files.iter().rev()) {
        set_age(file, Duration::from_secs(age * 1_000));
    }
    let file_bytes = fs::metadata(&files[0]).unwrap().len();
    let tight = fixture.open(file_bytes * 4);
    // The oldest of all is used, so the second oldest is the one to go.
    fixture.load(&tight, 0);
    let added = fixture.add(&tight, 4);
    let kept = [&files[2], &files[3], &files[0], &added];
    assert_eq!(fixture.files().iter().collect::<Vec<_>>(), kept);

    // A smaller bound holds from the next file on.
    let smaller = fixture.open(file_bytes * 2);
    let last = fixture.add(&smaller, 5);
    assert_eq!(fixture.files(), [added, last]);

    // What is larger than the whole cache is run, and not kept at the cost of all others.
    fixture.load(&fixture.open(file_bytes - 1), 6);
    assert_eq!(fixture.files().len(), 2);
}

#[test]
fn what_dead_writers_left_is_removed_and_live_ones_are_left_alone() {
    let fixture = Fixture::new();
    let cache = fixture.open(ROOMY_BYTES);
    let (dead, live) = (fixture.path().join(".writing-dead"), fixture.path().join(".writing-live"));
    fs::write(&dead, "half").unwrap();
    fs::write(&live, "half").unwrap();
    set_age(&dead, Duration::from_secs(2 * 3_600));
    fixture.load(&cache, 1);
    assert!(!dead.exists());
    assert!(live.exists());
}

#[test]
fn nothing_but_the_caches_own_files_is_removed() {
    let fixture = Fixture::new();
    fixture.open(ROOMY_BYTES);
    let stranger = fixture.path().join("thesis.txt");
    fs::write(&stranger, vec![0; 1_000_000]).unwrap();
    set_age(&stranger, Duration::from_secs(1_000_000));
    fixture.load(&fixture.open(100_000), 1);
    assert!(stranger.exists());
    assert_eq!(fixture.files().len(), 2);
}

#[test]
fn a_directory_that_others_can_write_is_refused() {
    let fixture = Fixture::new();
    fixture.open(ROOMY_BYTES);
    assert_eq!(fs::metadata(fixture.path()).unwrap().mode() & 0o777, 0o700);
    for mode in [0o720, 0o702, 0o777] {
        fs::set_permissions(fixture.path(), Permissions::from_mode(mode)).unwrap();
        let refused = CodeCache::open(fixture.path(), Seal::new(KEY), ROOMY_BYTES).map(|_| ());
        assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::PermissionDenied, "{mode:o}");
    }
}

#[test]
fn a_directory_that_is_gone_costs_only_time() {
    let fixture = Fixture::new();
    let cache = fixture.open(ROOMY_BYTES);
    fs::remove_dir(fixture.path()).unwrap();
    fixture.load(&cache, 1);
    assert!(!fixture.path().exists());
}

/// The first part, when started by itself: uses the cache in `directory`, and cannot write to it.
#[test]
fn a_read_only_or_full_disk_costs_only_time() {
    if let Some(directory) = std::env::var_os(CHILD) {
        let cache = CodeCache::open(PathBuf::from(directory), Seal::new(KEY), ROOMY_BYTES).unwrap();
        for answer in [1, 2] {
            let engine = engine(&[]);
            assert_eq!(run(&engine, &engine.load(&program(answer), Some(&cache)).unwrap()), answer);
        }
        return;
    }
    let fixture = Fixture::new();
    let file = fixture.add(&fixture.open(ROOMY_BYTES), 1);
    let test = "a_read_only_or_full_disk_costs_only_time";

    // No byte can be written to any file.
    let full = ["sh", "-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"];
    succeeded(child(&full, test, &fixture.path()));
    assert_eq!(fixture.files(), std::slice::from_ref(&file));

    // Root writes everywhere, unless it gives up that power.
    fs::set_permissions(fixture.path(), Permissions::from_mode(0o500)).unwrap();
    let root = File::create(fixture.path().join("probe")).is_ok();
    let read_only: &[&str] = if root { &["setpriv", "--bounding-set=-dac_override"] } else { &[] };
    succeeded(child(read_only, test, &fixture.path()));
    fs::set_permissions(fixture.path(), Permissions::from_mode(0o700)).unwrap();
    let _ = fs::remove_file(fixture.path().join("probe"));
    assert_eq!(fixture.files(), [file]);
}

/// Threads with caches of their own, each in processes of their own, over one directory too small for all programs.
#[test]
fn threads_and_processes_share_a_directory() {
    const PROGRAMS: u32 = 12;
    const ROUNDS: u32 = 8;
    if let Some(directory) = std::env::var_os(CHILD) {
        let bytes_max = tight_bytes();
        let work = |first: u32| {
            let engine = engine(&["pool=off"]);
            let cache = CodeCache::open(PathBuf::from(&directory), Seal::new(KEY), bytes_max).unwrap();
            for step in 0..PROGRAMS * ROUNDS {
                let answer = (first + step * 5) % PROGRAMS;
                assert_eq!(run(&engine, &engine.load(&program(answer), Some(&cache)).unwrap()), answer);
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3).map(|first| scope.spawn(move || work(first))).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        return;
    }
    let fixture = Fixture::new();
    fixture.open(ROOMY_BYTES);
    let test = "threads_and_processes_share_a_directory";
    let children: Vec<Child> = (0..3).map(|_| child(&[], test, &fixture.path())).collect();
    children.into_iter().for_each(succeeded);
    // Every writer saw the bound kept when it was done; nobody left anything half-written.
    let kept = fixture.files();
    let bytes: u64 = kept.iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(!kept.is_empty() && bytes <= tight_bytes(), "{bytes} bytes in {} files", kept.len());
    assert!(kept.iter().all(|file| file.extension().is_some_and(|extension| extension == "code")));
}

/// Room for half of the programs that are run.
fn tight_bytes() -> u64 {
    let fixture = Fixture::new();
    fs::metadata(fixture.add(&fixture.open(ROOMY_BYTES), 1)).unwrap().len() * 6
}

/// Starts `test` of this very program in a process of its own, by way of the command `before`.
fn child(before: &[&str], test: &str, directory: &Path) -> Child {
    let itself = std::env::current_exe().unwrap();
    let mut words = before.iter().map(PathBuf::from).chain([itself]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["--exact", test]).env(CHILD, directory);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn succeeded(child: Child) {
    let output = child.wait_with_output().unwrap();
    let [said, complained] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{complained}");
}

#[test]
fn a_built_file_runs_for_its_maker_only() {
    let fixture = Fixture::new();
    let built = fixture.directory.path().join("built");
    let engine = &fixture.engine;
    engine.build(&program(3), &built, &Seal::new(KEY)).unwrap();
    let own = || Some(Seal::new(KEY));
    assert_eq!(run(engine, &engine.load_file(&built, None, own).unwrap()), 3);

    for seal in [None, Some(Seal::new([8; 32]))] {
        assert!(matches!(engine.load_file(&built, None, || seal), Err(Error::Unsealed)));
    }
    let trusting = self::engine(&["precompiled=any"]);
    assert_eq!(run(&trusting, &trusting.load_file(&built, None, || None).unwrap()), 3);

    let sound = fs::read(&built).unwrap();
    for at in [0x40, sound.len() / 2, sound.len() - 40, sound.len() - 1] {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        fs::write(&built, bytes).unwrap();
        assert!(matches!(engine.load_file(&built, None, own), Err(Error::Unsealed)), "flipped at {at}");
    }
    for end in [0x100, sound.len() / 2, sound.len() - 1] {
        fs::write(&built, &sound[..end]).unwrap();
        let refused = engine.load_file(&built, None, own).map(|_| ());
        assert!(matches!(refused, Err(Error::Unsealed | Error::NotWasm(_))), "cut at {end}: {refused:?}");
    }
}

#[test]
fn a_built_file_for_another_engine_is_incompatible() {
    let fixture = Fixture::new();
    let built = fixture.directory.path().join("built");
    fixture.engine.build(&program(3), &built, &Seal::new(KEY)).unwrap();
    let mut fuelled = Settings::new(Profile::Dense);
    fuelled.limits.fuel_max = Some(1_000_000);
    for (what, settings) in [
        ("fuel", fuelled),
        ("portable", Settings::new(Profile::Portable)),
        ("epoch", engine(&["interrupt=epoch"]).settings().clone()),
        ("checked", engine(&["bounds=checked"]).settings().clone()),
    ] {
        for precompiled in ["precompiled=sealed", "precompiled=any"] {
            let mut settings = settings.clone();
            settings.set(precompiled).unwrap();
            // With a pool it could also be that the program does not fit a slot: `Error::Unfit`.
            settings.set("pool=off").unwrap();
            let other = Engine::new(settings).unwrap();
            let refused = other.load_file(&built, None, || Some(Seal::new(KEY)));
            assert!(matches!(refused, Err(Error::Incompatible(_))), "{what}, {precompiled}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named_and_nothing_is_left() {
    let fixture = Fixture::new();
    let nowhere = fixture.directory.path().join("no/such/directory");
    let failed = fixture.engine.build(&program(3), &nowhere, &Seal::new(KEY));
    assert!(matches!(failed, Err(Error::Write { path, .. }) if path == nowhere));
    let failed = fixture.engine.build(b"(module (bad))", &fixture.path(), &Seal::new(KEY));
    assert!(matches!(failed, Err(Error::Text(_))));
    assert!(files(fixture.directory.path()).is_empty());
}

#[test]
fn a_component_is_cached_too() {
    let fixture = Fixture::new();
    let cache = fixture.open(ROOMY_BYTES);
    let component = br#"(component (core module $m (func (export "f"))) (core instance (instantiate $m)))"#;
    let load = || fixture.engine.load(component, Some(&cache)).unwrap();
    assert!(matches!(load().compiled(), Compiled::Component(_)));
    let [file] = &fixture.files()[..] else { panic!("one file") };
    let (_, first) = keep(file);
    assert!(matches!(load().compiled(), Compiled::Component(_)));
    assert_eq!(inode(file), first, "compiled again");
    assert_eq!(
        wasmtime::Engine::detect_precompiled_file(file).unwrap(),
        Some(wasmtime::Precompiled::Component)
    );
}
