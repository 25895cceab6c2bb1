//! The first lines of a guest: what is set up for it, how it is run, and what must come of it.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// One run of one guest.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Case {
    /// Directory and name under `guests/`, such as `c/files`.
    pub(crate) guest: String,
    /// What tells this run from the guest's others; empty where there is one only.
    pub(crate) name: String,
    /// The program's file.
    pub(crate) program: PathBuf,
    /// Environment variables of `sampan` itself.
    pub(crate) env: Vec<(String, String)>,
    /// What stands before the program on the command line.
    pub(crate) flags: Vec<String>,
    /// What stands after it.
    pub(crate) args: Vec<String>,
    /// Files made in `$DIR` beforehand: path and content.
    pub(crate) files: Vec<(String, String)>,
    /// Symbolic links made in `$DIR` beforehand: path and target.
    pub(crate) links: Vec<(String, String)>,
    /// Shell commands that are run in `$DIR` beforehand, after the files were made.
    pub(crate) setup: Vec<String>,
    /// A file in `$DIR` that is run in the program's place.
    pub(crate) instead: Option<PathBuf>,
    /// A shell script that starts `sampan` itself, as `"$@"`.
    pub(crate) through: Option<String>,
    pub(crate) stdin: String,
    /// Instead of `stdin`: so many bytes of every value.
    pub(crate) stdin_bytes: Option<usize>,
    /// What happens around the guest while it runs.
    pub(crate) host: Option<String>,
    pub(crate) end: Option<End>,
    pub(crate) stdout: String,
    /// Whether standard output must be what standard input was.
    pub(crate) stdout_is_stdin: bool,
    pub(crate) stdout_parts: Vec<String>,
    /// What standard error must contain. Where this is empty, so must standard error be.
    pub(crate) stderr_parts: Vec<String>,
    /// Files in `$DIR` afterwards: path and content.
    pub(crate) after: Vec<(String, String)>,
    /// The profiles under which this must happen; all of them where it is empty.
    pub(crate) profiles: Vec<String>,
    /// Where it is written that this must happen.
    pub(crate) source: Option<String>,
    /// Instead of `source`, in an attack: what it tries.
    pub(crate) tries: Option<String>,
    /// And what must happen.
    pub(crate) must: Option<String>,
    /// Why an attack is not for every profile.
    pub(crate) why: Option<String>,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    Exit(i32),
    Signal(i32),
}

/// The signals that a case can name.
pub(crate) const SIGNALS: [(&str, i32); 3] = [("INT", 2), ("PIPE", 13), ("TERM", 15)];

const KEYS: [&str; 24] = [
    "case",
    "env",
    "sampan",
    "args",
    "file",
    "link",
    "setup",
    "through",
    "instead",
    "stdin",
    "stdin-bytes",
    "host",
    "exit",
    "signal",
    "stdout",
    "stdout-is-stdin",
    "stdout~",
    "stderr~",
    "after",
    "profile",
    "source",
    "tries",
    "must",
    "why",
];

impl Case {
    /// How a report calls it.
    pub(crate) fn title(&self) -> String {
        match self.name.as_str() {
            "" => self.guest.clone(),
            name => format!("{} {name}", self.guest),
        }
    }

    /// What is run.
    pub(crate) fn runs(&self) -> &Path {
        self.instead.as_deref().unwrap_or(&self.program)
    }

    /// Whether it says what happens under this profile.
    pub(crate) fn is_for(&self, profile: &str) -> bool {
        self.profiles.is_empty() || self.profiles.iter().any(|one| one == profile)
    }

    /// The runs that the source of a guest asks for: none, where no line of it is a directive.
    ///
    /// What stands before the first `case:` holds for all of them.
    pub(crate) fn parse_all(guest: &str, program: &Path, source: &str) -> Result<Vec<Case>, String> {
        let mut common = Case { guest: guest.to_owned(), program: program.to_owned(), ..Case::default() };
        let mut cases: Vec<Case> = Vec::new();
        let mut any = false;
        for (index, line) in header(source).enumerate() {
            let Some((key, path, value)) = directive(line) else {
                match any {
                    true => return Err(format!("{guest}: line {}: `{line}` is no directive", index + 1)),
                    false => continue,
                }
            };
            any = true;
            if key == "case" {
                cases.push(Case { name: value.to_owned(), ..common.clone() });
                continue;
            }
            let case = cases.last_mut().unwrap_or(&mut common);
            case.set(key, path, value).map_err(|reason| format!("{guest}: line {}: {reason}", index + 1))?;
        }
        if any && cases.is_empty() {
            cases.push(common);
        }
        match cases.iter().find_map(|case| Some((case, case.lacks()?))) {
            Some((case, lacking)) => Err(format!("{}: {lacking}", case.title())),
            None => Ok(cases),
        }
    }

    /// What every case must say and this one does not.
    fn lacks(&self) -> Option<&'static str> {
        let is_attack = self.tries.is_some();
        if self.end.is_none() {
            Some("`exit` or `signal` is missing")
        } else if is_attack != self.must.is_some() || is_attack == self.source.is_some() {
            Some("`source`, or `tries` and `must`, are missing")
        } else if is_attack && self.profiles.is_empty() != self.why.is_none() {
            Some("an attack that is not for every `profile` says `why`")
        } else {
            None
        }
    }

    fn set(&mut self, key: &str, path: &str, value: &str) -> Result<(), String> {
        let line = || format!("{value}\n");
        match key {
            "env" => {
                let (name, value) = value.split_once('=').ok_or("expected `NAME=VALUE`")?;
                self.env.push((name.to_owned(), value.to_owned()));
            }
            "sampan" => self.flags.extend(words(value)?),
            "args" => self.args.extend(words(value)?),
            "file" => self.files.push((path.to_owned(), line())),
            "link" => self.links.push((path.to_owned(), value.to_owned())),
            "setup" => self.setup.push(value.to_owned()),
            "through" => self.through = Some(value.to_owned()),
            "instead" => self.instead = Some(value.into()),
            "stdin" => self.stdin += &line(),
            "stdin-bytes" => self.stdin_bytes = Some(number(value)?),
            "host" => self.host = Some(value.to_owned()),
            "exit" => self.end = Some(End::Exit(number(value)?)),
            "signal" => {
                let signal = SIGNALS.iter().find(|(name, _)| *name == value);
                self.end = Some(End::Signal(signal.ok_or(format!("unknown signal `{value}`"))?.1));
            }
            "stdout" => self.stdout += &line(),
            "stdout-is-stdin" => self.stdout_is_stdin = true,
            "stdout~" => self.stdout_parts.push(value.to_owned()),
            "stderr~" => self.stderr_parts.push(value.to_owned()),
            "after" => self.after.push((path.to_owned(), line())),
            "profile" => self.profiles = words(value)?,
            "source" => self.source = Some(value.to_owned()),
            "tries" => self.tries = Some(value.to_owned()),
            "must" => self.must = Some(value.to_owned()),
            "why" => self.why = Some(value.to_owned()),
            key => return Err(format!("unknown key `{key}`")),
        }
        Ok(())
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

/// The text of the comment lines that a source begins with.
fn header(source: &str) -> impl Iterator<Item = &str> {
    let comment = |line| ["//!", "//", ";;"].iter().find_map(|mark| str::strip_prefix(line, mark));
    source.lines().map_while(comment).map(str::trim)
}

/// `KEY: VALUE` or `KEY PATH: VALUE`, for a known key.
fn directive(line: &str) -> Option<(&str, &str, &str)> {
    let (left, value) = line.split_once(':')?;
    let (key, path) = left.split_once(' ').unwrap_or((left, ""));
    let takes_path = ["file", "link", "after"].contains(&key);
    (KEYS.contains(&key) && takes_path != path.is_empty()).then_some((key, path, value.trim()))
}

/// Splits as a shell does, as far as double quotes go.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match quoted {
        true => Err(format!("`{text}` has an open quote")),
        false => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(source: &str) -> Result<Vec<Case>, String> {
        Case::parse_all("c/x", Path::new("x.wasm"), source)
    }

    #[test]
    fn what_stands_before_the_first_case_holds_for_all() {
        let source = "// Why: prose.\n// source: POSIX\n// exit: 0\n// case: a\n// args: 1 \"2 3\" \"\"\n\
                      // case: b\n// exit: 7\n// stdout: x\n// stdout: y\n// file d/f: text\nint main;\n// exit: 9\n";
        let cases = parse(source).expect("valid");
        assert_eq!([cases[0].title(), cases[1].title()], ["c/x a", "c/x b"]);
        assert_eq!((cases[0].end, cases[1].end), (Some(End::Exit(0)), Some(End::Exit(7))));
        assert_eq!(cases[0].args, ["1", "2 3", ""]);
        assert_eq!(cases[1].stdout, "x\ny\n");
        assert_eq!(cases[1].files, [("d/f".to_owned(), "text\n".to_owned())]);
    }

    #[test]
    fn a_guest_without_directives_has_no_cases() {
        assert_eq!(parse("// Prose: only.\nint main;\n"), Ok(Vec::new()));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (source, reason) in [
            ("// exit: 0\n", "missing"),
            ("// source: POSIX\n", "missing"),
            ("// exit: 0\n// tries: x\n", "missing"),
            ("// exit: 0\n// tries: x\n// must: y\n// profile: dense\n", "says `why`"),
            ("// exit: 0\n// source: x\n// stdot: y\n", "no directive"),
            ("// exit: zero\n", "no number"),
            ("// args: \"x\n", "open quote"),
            ("// signal: HUP\n", "unknown signal"),
            ("// exit: 0\n// file: x\n", "no directive"),
        ] {
            let error = parse(source).expect_err(source);
            assert!(error.contains(reason), "{source}: {error}");
        }
    }
}
