//! The verbs that look at an app and manage it: `ps`, `logs`, `stop`, `call`, `state` and `new`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::app::App;
use crate::client::{Connection, Request};
use crate::{PAUSE, WAIT};

const MANIFEST: &str = r#"
    [functions.lab]
    program = "$GUESTS/app/lab.wasm"
    grants = { buckets = ["visits"] }
    [functions.step]
    program = "$GUESTS/app/step.wasm"
    [buckets.visits]
    [buckets.fleeting]
    durability = "memory"
    [chains.twice]
    steps = [{ name = "first", call = "step" }, { name = "second", call = "step" }]
    [[routes]]
    path = "/{*rest}"
    function = "lab"
"#;

/// Somebody with apps of their own.
struct User {
    runtime: TempDir,
}

/// What a verb printed, and how it ended.
struct Ended {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

impl User {
    fn new() -> Self {
        Self { runtime: tempfile::tempdir().expect("a directory is made") }
    }

    fn app(&self, manifest: &str) -> App {
        let runtime = self.runtime.path().to_str().expect("a path");
        App::new(manifest).env("XDG_RUNTIME_DIR", runtime).flags(&["--console", "127.0.0.1:0"])
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sampan"));
        command.args(args).env("XDG_RUNTIME_DIR", self.runtime.path()).current_dir(self.runtime.path());
        command
    }

    fn run_with(&self, args: &[&str], input: &[u8]) -> Ended {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        // A verb that fails does not read.
        let _ = child.stdin.take().expect("it is a pipe").write_all(input);
        let output = child.wait_with_output().expect("it is waited for");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Ended { code: output.status.code(), stdout: output.stdout, stderr }
    }

    fn run(&self, args: &[&str]) -> Ended {
        self.run_with(args, b"")
    }

    /// What a verb prints that goes well.
    #[track_caller]
    fn well(&self, args: &[&str]) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
        String::from_utf8(ended.stdout).expect("text")
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.well(args)).expect("JSON")
    }

    /// What a verb says that fails.
    #[track_caller]
    fn wrong(&self, args: &[&str], code: i32) -> String {
        let ended = self.run(args);
        assert_eq!((ended.code, ended.stdout.len()), (Some(code), 0), "{args:?}: {}", ended.stderr);
        ended.stderr
    }

    /// The files of the nodes that are known.
    fn nodes(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.runtime.path().join("sampan/nodes")).expect("the directory is there");
        files.map(|file| file.expect("a file").path()).collect()
    }
}

/// A text with each number in it as `N`, and the spaces that align it as one.
fn without_numbers(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        let c = if c.is_ascii_digit() { 'N' } else { c };
        if !((c == 'N' || c == ' ') && shown.ends_with(c)) {
            shown.push(c);
        }
    }
    shown
}

fn directory(app: &App) -> String {
    app.path("").to_str().expect("a path").trim_end_matches('/').to_owned()
}

#[test]
fn an_app_that_runs_is_listed_until_it_is_stopped() {
    let user = User::new();
    assert_eq!(user.json(&["ps", "--json"]), json!([]));
    let app = user.app(MANIFEST);
    let mut served = app.serve();
    served.text("/headers");
    served.text("/headers");

    let listed = without_numbers(&user.well(&["ps"]));
    let head = "APP VERSION PID UPTIME ADDRESS CONSOLE CALLS FROZEN\n";
    assert_eq!(listed, format!("{head}tested N.N.N N Ns http://N.N.N.N:N http://N.N.N.N:N N N\n"));
    let mut listed = user.json(&["ps", "--json"]);
    let listed = listed[0].as_object_mut().expect("an app");
    assert_eq!(listed["address"], format!("http://{}", served.address));
    let manifest = app.path("sampan.toml").canonicalize().expect("a path");
    assert_eq!(listed["manifest"].as_str(), manifest.to_str());
    assert_eq!(
        (&listed["app"], &listed["version"], &listed["calls"]),
        (&json!("tested"), &json!("0.1.0"), &json!(2))
    );
    let keys: Vec<_> = listed.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["app", "version", "pid", "uptime_s", "address", "console", "calls", "frozen", "manifest"]
    );

    let ended = user.run(&["stop", "tested"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(without_numbers(&ended.stderr), "sampan: tested, process N, has ended\n");
    // It has closed its store, and nobody needs to wait.
    assert!(user.well(&["state", "ls", "--app", &directory(&app)]).contains("visits"));
    assert_eq!(served.ended().code(), Some(0));
    assert_eq!(user.json(&["ps", "--json"]), json!([]));
    assert!(user.nodes().is_empty());
}

#[test]
fn only_its_user_may_manage_a_node() {
    let user = User::new();
    let _served = user.app(MANIFEST).serve();
    let [file] = &user.nodes()[..] else { panic!("one node: {:?}", user.nodes()) };
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(file), mode(file.parent().expect("a directory"))), (0o600, 0o700));

    let node: Value = serde_json::from_slice(&fs::read(file).expect("it is read")).expect("JSON");
    let console = node["console"].as_str().expect("an address").parse().expect("an address");
    let token = node["token"].as_str().expect("a token");
    let host = node["console"].as_str().expect("an address");
    let ask = |method, path, token: Option<&str>| {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let request = Request::new(method, path).header("host", host);
        let request = match &bearer {
            Some(bearer) => request.header("authorization", bearer),
            None => request,
        };
        Connection::open(console).ask(&request).status
    };
    for (method, path) in [
        ("GET", "/api/status"),
        ("GET", "/api/logs"),
        ("POST", "/api/stop"),
        ("GET", "/api/state"),
        ("GET", "/api/state/visits"),
        ("PUT", "/api/state/visits/a"),
        ("DELETE", "/api/state/visits/a"),
        ("GET", "/api/export/visits"),
        ("POST", "/api/import/visits"),
        ("POST", "/api/call/step"),
        ("GET", "/api/nothing"),
    ] {
        for wrong in [None, Some(""), Some("0"), Some(&token[1..]), Some(&token.to_uppercase()[..])] {
            // A foreign request to change something may be refused before its token is looked at.
            assert!([401, 403].contains(&ask(method, path, wrong)), "{method} {path} with {wrong:?}");
        }
    }
    assert_eq!(ask("GET", "/api/status", Some(token)), 200);
    assert_eq!(ask("GET", "/api/nothing", Some(token)), 404);
    assert_eq!(ask("DELETE", "/api/status", Some(token)), 404);
    assert!(!user.well(&["ps", "--json"]).contains(token), "no list shows a token");
}

#[test]
fn a_node_that_was_killed_is_forgotten() {
    let user = User::new();
    user.app(MANIFEST).serve().kill();
    assert_eq!(user.nodes().len(), 1);
    assert_eq!(user.json(&["ps", "--json"]), json!([]));
    assert!(user.nodes().is_empty());
    // Nor is one believed that only looks like one: its number is another process's.
    let left = user.runtime.path().join(format!("sampan/nodes/{}.json", std::process::id()));
    fs::write(&left, "{}").expect("a file is written");
    assert!(user.wrong(&["stop"], 2).starts_with("error: no app is running\n"));
    assert!(user.nodes().is_empty());
}

#[test]
fn an_app_is_named_where_several_run() {
    let user = User::new();
    let (one, two) = (user.app(MANIFEST), user.app(&MANIFEST.replace("visits", "guests")));
    let (mut first, _second) = (one.serve(), two.serve());
    for args in [&["logs"][..], &["stop"], &["call", "step"], &["state", "ls"]] {
        let error = without_numbers(&user.wrong(args, 2));
        assert!(
            error.starts_with("error: several apps are running, and none is named\n running: "),
            "{error}"
        );
        assert!(
            error.ends_with("\nhint: `sampan ps` lists the apps that run; name one, or its process number\n")
        );
        assert_eq!(error.matches("running: tested, process N, of `").count(), 2, "{error}");
    }
    assert!(user.wrong(&["stop", "tested"], 2).starts_with("error: 2 running apps are called `tested`\n"));
    assert!(user.wrong(&["stop", "nope"], 2).starts_with("error: no running app is called `nope`\n"));
    assert!(user.well(&["state", "ls", "--app", &directory(&two)]).contains("guests"));
    let listed = user.json(&["ps", "--json"]);
    let manifest = one.path("sampan.toml").canonicalize().expect("a path");
    let is_first = |app: &&Value| app["manifest"].as_str() == manifest.to_str();
    let listed = listed.as_array().expect("a list").iter().find(is_first).expect("the first app");
    user.well(&["stop", &listed["pid"].to_string()]);
    assert_eq!(first.ended().code(), Some(0));
    user.well(&["stop"]);
}

#[test]
fn what_functions_say_is_shown_and_followed() {
    let user = User::new();
    let served = user.app(MANIFEST).serve();
    served.text("/say?one");
    served.text("/say?two");
    served.says("lab | complained two\n");
    assert_eq!(
        user.well(&["logs"]),
        "lab | said one\nlab | complained one\nlab | said two\nlab | complained two\n"
    );
    assert_eq!(user.well(&["logs", "tested", "-n", "1"]), "lab | complained two\n");
    assert_eq!(
        user.well(&["logs", "--level", "warn", "--tail", "2"]),
        "lab | complained one\nlab | complained two\n"
    );
    assert_eq!(user.well(&["logs", "--function", "step"]), "");
    assert_eq!(user.wrong(&["logs", "--function", "nope"], 2), "error: `tested` has no function `nope`\n");
    let mut line = user.json(&["logs", "--json", "-n", "1"]);
    assert!(line["time_us"].take().as_u64().is_some_and(|time| time > 0));
    assert_eq!(
        line,
        json!({ "time_us": null, "function": "lab", "level": "warn", "text": "complained two" })
    );

    let mut following =
        user.command(&["logs", "-f", "-n", "1"]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(following.stdout.take().expect("it is a pipe")).lines();
    let mut next = || lines.next().map(|line| line.expect("it is read"));
    assert_eq!(next().as_deref(), Some("lab | complained two"));
    served.text("/say?three");
    assert_eq!(next().as_deref(), Some("lab | said three"));
    assert_eq!(next().as_deref(), Some("lab | complained three"));
    user.well(&["stop"]);
    assert_eq!(next(), None);
    assert_eq!(following.wait().expect("it is waited for").code(), Some(0));
}

#[test]
fn state_is_the_same_whether_the_app_runs_or_not() {
    let user = User::new();
    let app = user.app(MANIFEST);
    let directory = directory(&app);
    let run = |args: &[&str], input: &[u8]| {
        let ended = user.run_with(&[&["state", "--app", &directory], args].concat(), input);
        (ended.code, ended.stdout, ended.stderr)
    };
    let session = || {
        [
            run(&["put", "visits", "eu/a b?%", "first"], b""),
            run(&["put", "visits", "eu/binary", "-"], b"\0\xff\n"),
            run(&["put", "visits", "us/c", ""], b""),
            run(&["get", "visits", "eu/a b?%"], b""),
            run(&["get", "visits", "eu/binary"], b""),
            run(&["get", "visits", "us/c"], b""),
            run(&["ls"], b""),
            run(&["ls", "--json"], b""),
            run(&["ls", "visits"], b""),
            run(&["ls", "visits", "--prefix", "eu/", "--json"], b""),
            run(&["export", "visits"], b""),
            run(&["rm", "visits", "us/c", "eu/a b?%", "never"], b""),
            run(
                &["import", "visits"],
                b"{\"key\":\"k\",\"value\":\"v\"}\n{\"key\":\"l\",\"value_base64\":\"/w==\"}\n",
            ),
            run(&["ls", "visits", "--json"], b""),
            run(&["export", "visits"], b""),
            run(&["import", "visits"], b"{\"key\":\"k\",\"value\":\"w\"}\nno line\n"),
            run(&["get", "visits", "nope"], b""),
            run(&["put", "visits", "", "empty"], b""),
            run(&["get", "nope", "a"], b""),
            run(&["rm", "visits", "k", "l", "eu/binary"], b""),
        ]
    };
    let here = session();
    assert_eq!(here[3].1, b"first");
    assert_eq!(here[4].1, b"\0\xff\n");
    assert_eq!(here[8].1, b"eu/a b?%\neu/binary\nus/c\n");
    assert_eq!(here[10].1.iter().filter(|byte| **byte == b'\n').count(), 3);
    assert_eq!(here[12].2, "sampan: 2 entries are written\n");
    assert_eq!(here[16].2, "error: bucket `visits` has no such key\n");
    assert_eq!(here[18].2, "error: `tested` has no bucket `nope`\n\nhint: it has `fleeting`, `visits`\n");
    assert!(run(&["get", "fleeting", "a"], b"").2.starts_with("error: bucket `fleeting` is in memory"));

    let _served = app.serve();
    for (number, (here, there)) in here.iter().zip(session()).enumerate() {
        assert_eq!(*here, there, "command {number}");
    }
    assert_eq!(run(&["put", "fleeting", "a", "1"], b"").0, Some(0));
    assert_eq!(run(&["get", "fleeting", "a"], b"").1, b"1");
    // By its name it is the same app.
    assert_eq!(user.well(&["state", "get", "fleeting", "a", "--app", "tested"]), "1");
    let used = user.run(&["state", "--app", &directory, "--state", &format!("{directory}/.sampan"), "ls"]);
    assert_eq!(used.code, Some(2), "{}", used.stderr);
    for part in ["is in use by another process", "hint: `tested` runs", "without `--state` it is asked"] {
        assert!(used.stderr.contains(part), "{}", used.stderr);
    }
}

#[test]
fn state_that_another_has_is_waited_for_but_not_long() {
    let user = User::new();
    let app = user.app(MANIFEST);
    let directory = directory(&app);
    let import = || {
        let mut command = user.command(&["state", "--app", &directory, "import", "visits"]);
        let mut importing = command.stdin(Stdio::piped()).spawn().expect("the binary starts");
        let mut lines = importing.stdin.take().expect("it is a pipe");
        writeln!(lines, "{{\"key\":\"k\",\"value\":\"v\"}}").expect("it reads");
        let begun = Instant::now();
        // The file is there when it is open.
        while !app.path(".sampan").is_dir() {
            assert!(begun.elapsed() < WAIT);
            thread::sleep(PAUSE);
        }
        (importing, lines)
    };
    let (mut importing, lines) = import();
    let begun = Instant::now();
    let used = loop {
        assert!(begun.elapsed() < WAIT, "`import` does not have it");
        let ended = user.run(&["state", "--app", &directory, "ls"]);
        // Whoever is first has it.
        if ended.code != Some(0) {
            break ended;
        }
    };
    assert!(used.code == Some(2) && used.stderr.contains("is in use by another process"), "{}", used.stderr);
    assert!(
        used.stderr.contains("hint: its app starts or stops, or another `sampan state`"),
        "{}",
        used.stderr
    );
    let begun = Instant::now();
    let waiting =
        user.command(&["state", "--app", &directory, "get", "visits", "k"]).stdout(Stdio::piped()).spawn();
    drop(lines);
    assert!(importing.wait().expect("it is waited for").success());
    // Where the disk is so slow, it is not waited for.
    let is_slow = begun.elapsed() > Duration::from_secs(1);
    let got = waiting.and_then(Child::wait_with_output).expect("it is waited for");
    let is_read = (got.status.code(), &*got.stdout) == (Some(0), b"v");
    assert!(is_read || (is_slow && got.status.code() == Some(2)), "{got:?}");
}

#[test]
fn pages_of_keys_and_a_large_export_come_whole() {
    let user = User::new();
    let app = user.app(MANIFEST);
    let directory = directory(&app);
    let _served = app.serve();
    let mut lines: String =
        (0..2_500).map(|key| format!("{{\"key\":\"{key:05}\",\"value\":\"{key:0100}\"}}\n")).collect();
    lines += "{\"key_base64\":\"G/8=\",\"value\":\"\"}\n";
    let imported = user.run_with(&["state", "--app", &directory, "import", "visits", "-"], lines.as_bytes());
    assert_eq!(imported.stderr, "sampan: 2501 entries are written\n");
    let mut keys: String = (0..2_500).map(|key| format!("{key:05}\n")).collect();
    // What moves the cursor of a terminal is not printed.
    keys += "\u{fffd}\u{fffd}\n";
    let sorted = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(sorted(&user.well(&["state", "ls", "visits"])), sorted(&keys));
    let binary = user.json(&["state", "ls", "visits", "--prefix", "\u{1b}", "--json"]);
    assert_eq!(binary, json!([{ "key_base64": "G/8=" }]));
    assert_eq!(sorted(&user.well(&["state", "export", "visits"])), sorted(&lines));
}

#[test]
fn functions_and_chains_are_called() {
    let user = User::new();
    let _served = user.app(MANIFEST).serve();
    assert_eq!(user.well(&["call", "step", "{\"a\": 1}"]), "{\"a\": 1}\n");
    assert_eq!(user.well(&["call", "step", "[1, 2]"]), "[2,1]\n");
    assert_eq!(user.well(&["call", "step", "[1, 2]", "--text"]), "[1, 2]\n");
    assert_eq!(user.well(&["call", "step", "plain"]), "plain\n");
    assert_eq!(user.well(&["call", "twice", "[1, 2]", "--app", "tested"]), "[1,2]\n");
    let bytes = user.run_with(&["call", "step", "-"], b"\xff\0");
    assert_eq!((bytes.code, &bytes.stdout[..]), (Some(0), &b"\xff\0"[..]), "{}", bytes.stderr);
    assert_eq!(user.run(&["call", "step", "[]", "--bytes"]).stdout, b"[]");

    let wrong = user.wrong(&["call", "step", "{", "--json"], 2);
    assert!(wrong.starts_with("error: the input is not JSON: "), "{wrong}");
    assert_eq!(user.wrong(&["call", "nope"], 2), "error: `tested` has no function or chain `nope`\n");
    assert_eq!(
        user.wrong(&["call", "step", "{\"fail\": \"no tea\"}"], 1),
        "error: `step` has no result: no tea\n"
    );
    let trapped = user.wrong(&["call", "step", "{\"trap\": true}"], 1);
    assert!(
        trapped.starts_with("error: `step` has no result: it ended before it had a result: "),
        "{trapped}"
    );
}

#[test]
fn a_node_without_a_console_is_listed_and_says_why_it_cannot_be_managed() {
    let user = User::new();
    let served = user.app(MANIFEST).flags(&["--console", "off"]).serve();
    assert!(without_numbers(&user.well(&["ps"])).contains("tested N.N.N N Ns http://N.N.N.N:N - -"));
    let error = without_numbers(&user.wrong(&["stop"], 2));
    let (error, hint) = error.split_once("\n\nhint: ").expect("a hint");
    assert_eq!(error, "error: `tested`, process N, has no console, and is managed through it");
    assert_eq!(hint, "serve it without `--console off`; `kill N` stops it\n");
    served.stop();
    assert!(user.nodes().is_empty());
}

/// A new app in the language, as its user has it.
fn new(user: &User, language: &str) -> PathBuf {
    let name = format!("my-{language}");
    user.well(&["new", &name, "--lang", language]);
    user.runtime.path().join(name)
}

#[test]
fn a_new_app_has_a_sound_manifest_in_every_language() {
    let user = User::new();
    for language in ["rust", "c", "js", "python", "go", "wat"] {
        let app = new(&user, language);
        let text = fs::read_to_string(app.join("sampan.toml")).expect("a manifest");
        let manifest = image::Manifest::parse(&text, "sampan.toml").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(&*manifest.app.name as &str, format!("my-{language}"));
        let function = &manifest.functions["hello"];
        assert_eq!(function.build.is_none(), language == "wat");
        for watched in function.build.iter().flat_map(|build| &build.watch) {
            assert!(app.join(&**watched).exists(), "{language}: no `{}`", watched.display());
        }
        let readme = fs::read_to_string(app.join("README.md")).expect("a description");
        assert!(readme.starts_with(&format!("# my-{language}\n\n`")), "{readme}");
        for file in ["sampan.toml", "README.md", ".gitignore"] {
            let text = fs::read_to_string(app.join(file)).expect("a file");
            assert!(!text.contains("{{"), "{language}/{file}: {text}");
        }
    }
    let error = user.wrong(&["new", "my-c"], 2);
    assert_eq!(error, "error: `my-c` is there already, and is not empty\n\nhint: name a new directory\n");
}

#[test]
fn a_new_app_of_text_is_served_as_it_is() {
    let user = User::new();
    let app = new(&user, "wat");
    let mut command =
        user.command(&["serve", "my-wat", "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0"]);
    let mut served = command.stderr(Stdio::piped()).spawn().expect("the binary starts");
    let mut said = BufReader::new(served.stderr.take().expect("it is a pipe")).lines();
    let address = |line: String| Some(line.strip_prefix("sampan: my-wat 0.1.0 on http://")?.to_owned());
    let address = said.find_map(|line| address(line.expect("it is read"))).expect("an address");
    let mut connection = Connection::open(address.parse().expect("an address"));
    assert_eq!(connection.ask(&Request::new("GET", "/anywhere")).well(), "Hello!\n");
    user.well(&["stop", "my-wat"]);
    assert_eq!(served.wait().expect("it is waited for").code(), Some(0));
    assert!(app.join(".sampan").is_dir());
}

#[test]
fn a_new_app_is_built_and_served() {
    let user = User::new();
    for (language, answers) in [
        ("c", ["Hello from /anywhere\n"; 2]),
        ("go", ["Hello from /anywhere\n"; 2]),
        ("js", ["Hello! This is visit 1.\n", "Hello! This is visit 2.\n"]),
        ("python", ["Hello! This is visit 1.\n", "Hello! This is visit 2.\n"]),
        ("rust", ["Hello! This is visit 1.\n", "Hello! This is visit 2.\n"]),
    ] {
        let written = new(&user, language);
        let built = App::example(&format!("my-{language}"));
        for file in files(&written) {
            let path = file.strip_prefix(&written).expect("inside").to_str().expect("a path");
            let same = fs::read(&file).ok() == fs::read(built.path(path)).ok();
            assert!(same, "{language}: not built of this `{path}`: run `cargo xtask examples`");
        }
        let served = built.serve();
        for answer in answers {
            assert_eq!(served.text("/anywhere"), answer, "{language}");
        }
        served.stop();
    }
}

/// The files in a directory and those below it.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
