//! The flags by which a user sets the dial, its fine print and the limits; shared by the commands that make code.

use std::ffi::OsStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, StringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Args, Command};
use engine::limits::parse_bytes;
use engine::options::HELP;
use engine::{Engine, Error, Limits, Profile, Settings};

use crate::report::Report;

/// How a program's code is made, and what it may use up.
#[derive(Args)]
pub(crate) struct Tuning {
    /// Position of the dial: dense, portable, sealed or trusted
    #[arg(long, value_name = "NAME", default_value_t, value_parser = profile(), hide_possible_values = true,
          help_heading = "Dial")]
    pub(crate) profile: Profile,

    /// Fine print under the profile; `-O help` lists it
    #[arg(short = 'O', value_name = "KEY=VALUE", value_parser = OptionParser, help_heading = "Dial")]
    options: Vec<String>,

    /// End the program after so many units of work, about one per instruction
    #[arg(long, value_name = "UNITS", value_parser = units, allow_hyphen_values = true, help_heading = "Limits")]
    pub(crate) fuel: Option<u64>,

    /// End the program when its memories and tables together pass this [default: 4G, or half of the machine's]
    #[arg(long, value_name = "SIZE", value_parser = size, allow_hyphen_values = true, help_heading = "Limits")]
    memory: Option<usize>,

    /// End the program after this time, such as 500ms, 10s or 1h [default: none]
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true, help_heading = "Limits")]
    pub(crate) timeout: Option<Duration>,
}

fn profile() -> impl TypedValueParser<Value = Profile> {
    PossibleValuesParser::new(Profile::ALL.map(Profile::name)).try_map(|name| name.parse::<Profile>())
}

fn units(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "expected a whole number, such as 1000000".to_owned())
}

fn time(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time such as 500ms, 10s or 1h".to_owned();
    match humantime::parse_duration(text).map_err(|_| expected())? {
        Duration::ZERO => Err("a program needs some time".to_owned()),
        time => Ok(time),
    }
}

fn size(text: &str) -> Result<usize, String> {
    parse_bytes(text).ok_or_else(|| "expected a size such as 65536, 64K, 512M or 4G".to_owned())
}

/// Takes any text, and gives help where `help` is asked for: at once, as `--help` does, without a program.
#[derive(Clone)]
struct OptionParser;

impl TypedValueParser for OptionParser {
    type Value = String;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        if value == "help" {
            return Err(clap::Error::raw(ErrorKind::DisplayHelp, help()));
        }
        StringValueParser::new().parse_ref(command, arg, value)
    }
}

impl Tuning {
    /// Sets an option before those that were given as such.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.options.insert(0, format!("{key}={value}"));
    }

    /// What an option was set to, if it was.
    pub(crate) fn option(&self, key: &str) -> Option<&str> {
        self.options.iter().rev().find_map(|option| option.strip_prefix(key)?.strip_prefix('='))
    }

    /// The flags again.
    pub(crate) fn flags(&self) -> Vec<String> {
        let mut flags = vec![format!("--profile={}", self.profile)];
        flags.extend(self.options.iter().map(|option| format!("-O{option}")));
        flags.extend(self.fuel.map(|units| format!("--fuel={units}")));
        flags.extend(self.memory.map(|bytes| format!("--memory={bytes}")));
        flags.extend(self.timeout.map(|time| format!("--timeout={}", humantime::format_duration(time))));
        flags
    }

    /// The settings that these flags ask for.
    pub(crate) fn settings(&self) -> Result<Settings, Report> {
        let mut settings = Settings::new(self.profile);
        settings.options.prefer_signals();
        settings.tools = std::env::var_os("PATH").unwrap_or_default();
        for option in &self.options {
            settings.set(option).map_err(|error| explain(&error))?;
        }
        settings.limits.fuel_max = self.fuel;
        settings.limits.time_max = self.timeout;
        settings.limits.memory_bytes_max = self.memory.unwrap_or_else(|| memory_default(&settings.limits));
        Ok(settings)
    }
}

/// The engine's own default, but no more than half of what the machine has.
fn memory_default(limits: &Limits) -> usize {
    match physical_memory_bytes() {
        Some(bytes) => limits.memory_bytes_max.min(bytes / 2),
        None => limits.memory_bytes_max,
    }
}

/// Linux's count of the machine's memory. Elsewhere unknown.
fn physical_memory_bytes() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: usize = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1_024)
}

/// An engine with these settings.
pub(crate) fn engine(settings: Settings, verbose: bool) -> Result<Engine, Report> {
    let engine = Engine::new(settings).map_err(|error| explain(&error))?;
    if let Some(refused) = engine.pool_refused()
        && verbose
    {
        eprintln!("sampan: no pool of instances, each is made on demand: {refused}");
    }
    Ok(engine)
}

/// What a user reads when there can be no engine with these settings.
fn explain(error: &Error) -> Report {
    match error {
        Error::Option { option, reason } => Report::usage(format!("cannot use `-O {option}`"))
            .cause(reason)
            .hint("`-O help` lists the options"),
        Error::Setup(source) => Report::usage(error).cause(format!("{source:#}")),
        error => Report::from_error(error),
    }
}

fn help() -> String {
    let width = HELP.iter().map(|help| help.key.len() + help.values.len()).max().unwrap_or(0) + 1;
    let line = |help: &engine::options::Help| {
        format!("{:width$}  {}\n", format!("{}={}", help.key, help.values), help.summary)
    };
    HELP.iter().map(line).collect()
}
