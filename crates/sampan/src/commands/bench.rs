//! `sampan bench`: what a program costs, and what keeps it in, under each profile.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueHint};
use engine::Anatomy;
use host::grants::Dir;
use serde_json::{Value, json};

use crate::dial::contest::{Contest, Measured, Outcome, Unrunnable};
use crate::dial::contestant::{self, Contestant, Ground, Task};
use crate::dial::picture::{Entry, Figure};
use crate::dial::programs::{self, Programs};
use crate::dial::recommend::{Advice, recommend};
use crate::dial::score::{Scores, scores};
use crate::dial::text;
use crate::report::{Report, print};
use crate::source;

/// Measure a program under each profile, and beside other ways to run it
#[derive(Args)]
#[command(
    override_usage = "sampan bench [OPTIONS] [PROGRAM] [ARGS]...",
    after_help = "\
Examples:
  sampan bench                                     a program that is built in
  sampan bench --input page.md markdown.wasm       on your own input
  sampan bench --native ./sort sort.wasm           beside the same program as native code
  sampan bench --recommend --picture dial.svg      what to choose, and a picture of it
  sampan bench --only dense,sealed --json x.wasm   some of it, as data

Contestants that are not on this machine are named, and take no part."
)]
pub(crate) struct Bench {
    /// The program, a command, and its arguments; without one, a program that is built in
    #[arg(value_names = ["PROGRAM", "ARGS"], num_args = 0.., trailing_var_arg = true, value_hint = ValueHint::AnyPath)]
    program_and_args: Vec<OsString>,

    /// What it reads on standard input [default: nothing]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Program")]
    input: Option<PathBuf>,

    /// Let it use a directory, under the name GUEST; `ro` for reading only
    #[arg(long, value_name = "HOST[:GUEST][:ro]", help_heading = "Program")]
    dir: Vec<Dir>,

    /// The native program that does the same with the same arguments
    #[arg(long, value_name = "COMMAND", value_hint = ValueHint::CommandName, help_heading = "Program")]
    native: Option<PathBuf>,

    /// Only these contestants, separated by commas: dense, dense-native, portable, sealed, trusted, wasmtime, native,
    /// unshare, bwrap, runc
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = PossibleValuesParser::new(contestant::ALL.map(|one| one.name)),
          hide_possible_values = true, help_heading = "Measurement")]
    only: Vec<String>,

    /// Let each run so often, in turn
    #[arg(long, value_name = "COUNT", default_value_t = 9, value_parser = count, help_heading = "Measurement")]
    rounds: u32,

    /// Measure the memory of up to so many instances at the same time, as far as the machine bears it
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = count, help_heading = "Measurement")]
    instances: u32,

    /// Say which profile to choose for the program, and why
    #[arg(long, help_heading = "Output")]
    recommend: bool,

    /// Draw the dial into this file, FILE.svg or FILE.png; may be given for each
    #[arg(long, value_name = "FILE", value_parser = picture_file, value_hint = ValueHint::FilePath, help_heading = "Output")]
    picture: Vec<PathBuf>,

    /// Print JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// The most rounds, and instances at the same time.
const COUNT_MAX: u32 = 1_000;

/// Numbers of instances whose memory is measured.
const INSTANCES: [u32; 3] = [1, 100, 1_000];

impl Bench {
    pub(crate) fn execute(self) -> Result<(), Report> {
        let is_served = self.is_served()?;
        let contest = self.contest()?;
        let shown = self.shown();
        let outcome = if is_served { contest.serve() } else { contest.run() };
        let outcome = outcome.map_err(|unrunnable| self.unrunnable(&unrunnable))?;
        if outcome.measured.is_empty() {
            let report = Report::failure(format!("nothing could be measured of {shown}"));
            return Err(outcome
                .absent
                .iter()
                .fold(report, |report, absent| report.cause(format!("{}: {}", absent.name, absent.why))));
        }
        self.draw(&outcome)?;
        let advice = recommend(&outcome.measured);
        if self.json {
            return print(format!("{:#}\n", self.json(&outcome, advice.as_ref())).as_bytes());
        }
        let mut text = format!("{shown}\n\n{}", text::text(&outcome));
        if self.recommend {
            text += &text::advice(advice.as_ref());
        }
        print(text.as_bytes())
    }

    /// Draws the pictures that are wanted.
    fn draw(&self, outcome: &Outcome) -> Result<(), Report> {
        let entry = |(one, scores): (&Measured, Option<Scores>)| {
            let place = contestant::ALL.iter().position(|known| known.name == one.name)?;
            Some(Entry { name: one.name, is_ours: contestant::ALL[place].is_ours(), place, scores: scores? })
        };
        let figure = Figure {
            title: format!("The dial, measured: {}", self.name()),
            subtitle: format!(
                "{} round{} on {}, sampan {}",
                self.rounds,
                if self.rounds == 1 { "" } else { "s" },
                machine(),
                env!("CARGO_PKG_VERSION")
            ),
            entries: outcome.measured.iter().zip(scores(&outcome.measured)).filter_map(entry).collect(),
        };
        for path in &self.picture {
            let drawn = match is_svg(path) {
                true => figure.svg().map(String::into_bytes),
                false => figure.png(),
            };
            drawn
                .and_then(|bytes| Ok(std::fs::write(path, bytes)?))
                .map_err(|error| Report::failure(format!("cannot draw `{}`", path.display())).cause(error))?;
        }
        Ok(())
    }

    /// The program's name, without its directory.
    fn name(&self) -> String {
        self.program_and_args
            .first()
            .map_or(programs::BUILT_IN.to_owned(), |program| source::name(program.as_ref()))
    }

    fn contest(&self) -> Result<Contest, Report> {
        self.picture.iter().try_for_each(|path| check_place(path))?;
        let failed = |error| Report::failure("cannot write the programs to measure").cause(error);
        let ground = Ground::new().map_err(failed)?;
        let programs = Programs::write(&ground).map_err(failed)?;
        if let Some(input) = &self.input {
            std::fs::File::open(input)
                .map_err(|error| Report::usage(format!("cannot read `{}`", input.display())).cause(error))?;
        }
        let mut instances: Vec<u32> = INSTANCES.into_iter().filter(|count| *count < self.instances).collect();
        instances.push(self.instances);
        Ok(Contest {
            contestants: self.contestants(),
            least: programs.least(),
            task: self.task(&programs)?,
            input: self.input.clone(),
            probes: programs.probes(),
            rounds: self.rounds,
            instances,
            ground,
        })
    }

    /// Whether the program answers requests, rather than run to an end.
    fn is_served(&self) -> Result<bool, Report> {
        let Some(program) = self.program_and_args.first() else {
            return Ok(false);
        };
        let path = Path::new(program);
        if source::is_stdin(path) {
            return Err(Report::usage(
                "a program that is measured runs many times, and standard input is read once",
            )
            .hint("name the file of a program"));
        }
        let anatomy = Anatomy::of(&source::read(path)?).map_err(|error| source::explain(path, &error))?;
        Ok(anatomy.exports.iter().any(|item| item.name.starts_with("wasi:http/")))
    }

    fn contestants(&self) -> Vec<Contestant> {
        let wanted = |one: &Contestant| self.only.is_empty() || self.only.iter().any(|name| name == one.name);
        contestant::ALL.into_iter().filter(wanted).collect()
    }

    fn task(&self, programs: &Programs) -> Result<Task, Report> {
        let native = match &self.native {
            None => None,
            Some(name) => Some(programs::native(name).ok_or_else(|| {
                let report = Report::usage(format!("there is no program `{}`", name.display()));
                report.hint("`--native` takes the path of a program, or one that is in `PATH`")
            })?),
        };
        let Some((program, args)) = self.program_and_args.split_first() else {
            let built_in = programs.built_in();
            return Ok(Task { native: native.or(built_in.native), ..built_in });
        };
        let program = PathBuf::from(program);
        Ok(Task { program, native, args: args.to_vec(), dirs: self.dir.clone(), data: None })
    }

    /// How the program is named in what a user reads.
    fn shown(&self) -> String {
        match self.program_and_args.first() {
            Some(program) => source::shown(program.as_ref()),
            None => format!("`{}`, which is built in", programs::BUILT_IN),
        }
    }

    fn unrunnable(&self, Unrunnable { by, why }: &Unrunnable) -> Report {
        Report::failure(format!("cannot measure {}", self.shown()))
            .cause(format!("{by}: {why}"))
            .hint("a program that is measured runs to its end by itself, as `sampan run` shows")
    }

    fn json(&self, outcome: &Outcome, advice: Option<&Advice>) -> Value {
        let contestants = outcome.measured.iter().zip(scores(&outcome.measured)).map(|(one, scores)| {
            let mut json = json!(one);
            json["scores"] = json!(scores);
            json
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "program": self.name(),
            "machine": machine(),
            "rounds": self.rounds,
            "contestants": contestants.collect::<Vec<_>>(),
            "absent": outcome.absent,
            "recommendation": advice,
        })
    }
}

/// So many rounds, or instances.
fn count(text: &str) -> Result<u32, String> {
    let count = text.parse().ok().filter(|count| (1..=COUNT_MAX).contains(count));
    count.ok_or_else(|| format!("expected a whole number from 1 to {COUNT_MAX}"))
}

/// The name of a picture says what it is.
fn picture_file(text: &str) -> Result<PathBuf, &'static str> {
    let path = PathBuf::from(text);
    let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default().to_ascii_lowercase();
    match kind.as_str() {
        "svg" | "png" => Ok(path),
        _ => Err("expected a name that ends in `.svg` or `.png`"),
    }
}

fn is_svg(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("svg"))
}

/// The processor, and how many there are.
fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    let name =
        line.and_then(|line| line.split_once(':')).map_or("an unknown processor", |(_, name)| name.trim());
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{name}, {count} of them")
}

/// Refuses, before anything is measured, a file that could not be written after it.
fn check_place(path: &Path) -> Result<(), Report> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let report = || Report::usage(format!("cannot draw `{}`", path.display()));
    match directory.metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(report().cause(format!("`{}` is no directory", directory.display()))),
        Err(error) => Err(report().cause(error)),
    }
}
