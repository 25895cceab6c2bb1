//! What a user reads who used the command line wrongly: clap's errors in the form of all others.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory};

use crate::Cli;
use crate::report::{Report, USAGE, print};

/// Prints what is wrong with the command line, or the help that was asked for, and ends the process.
pub(crate) fn end(error: &clap::Error) -> ! {
    if !error.use_stderr() {
        // Clap takes even help for an error when it is not its own.
        let text = error.render().to_string();
        match print(text.strip_prefix("error: ").unwrap_or(&text).as_bytes()) {
            Ok(()) => std::process::exit(0),
            Err(report) => report.print_and_exit(),
        }
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        eprint!("{}", error.render());
        std::process::exit(USAGE)
    }
    explain(error).print_and_exit()
}

fn explain(error: &clap::Error) -> Report {
    let text = |kind| texts(error, kind).into_iter().next().unwrap_or_default();
    let arg = plain(&text(ContextKind::InvalidArg));
    let value = text(ContextKind::InvalidValue);
    let command = command(&text(ContextKind::Usage));
    let report = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let report = Report::usage(format!("unknown command `{}`", text(ContextKind::InvalidSubcommand)));
            report.hint(
                "`sampan --help` lists the commands; a program is named by its file, as in `sampan ./x.wasm`",
            )
        }
        ErrorKind::UnknownArgument if !arg.starts_with('-') => {
            Report::usage(format!("unexpected argument `{arg}`")).hint(help_of(&command))
        }
        ErrorKind::UnknownArgument => {
            Report::usage(format!("unknown flag `{arg}`")).hint(about_flag(&command, &arg))
        }
        ErrorKind::MissingRequiredArgument => {
            let missing: Vec<String> =
                texts(error, ContextKind::InvalidArg).iter().map(|arg| format!("`{}`", plain(arg))).collect();
            Report::usage(format!("{} is missing", missing.join(" and "))).hint(help_of(&command))
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            possible(Report::usage(format!("`{arg}` needs a value")), error)
        }
        ErrorKind::InvalidValue => possible(invalid(&value, &arg), error),
        ErrorKind::ValueValidation => match std::error::Error::source(error) {
            Some(cause) => invalid(&value, &arg).cause(cause),
            None => invalid(&value, &arg),
        },
        ErrorKind::ArgumentConflict if texts(error, ContextKind::PriorArg).is_empty() => {
            Report::usage(format!("`{arg}` is given twice"))
        }
        ErrorKind::ArgumentConflict if plain(&text(ContextKind::PriorArg)) == arg => {
            Report::usage(format!("`{arg}` is given twice"))
        }
        ErrorKind::TooManyValues => Report::usage(format!("`{arg}` takes no value")),
        ErrorKind::InvalidUtf8 => Report::usage("an argument is not UTF-8"),
        _ => first_line(error).hint(help_of(&command)),
    };
    let suggested =
        [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    match suggested.iter().flat_map(|kind| texts(error, *kind)).next() {
        Some(name) => report.hint(format!("did you mean `{name}`?")),
        None => report,
    }
}

fn invalid(value: &str, arg: &str) -> Report {
    Report::usage(format!("invalid value `{value}` for `{arg}`"))
}

/// Adds the values that would be right, where there is a list of them.
fn possible(report: Report, error: &clap::Error) -> Report {
    match texts(error, ContextKind::ValidValue) {
        values if values.is_empty() => report,
        values => report.cause(format!("possible values: {}", values.join(", "))),
    }
}

/// What to do about a flag that this command does not have.
fn about_flag(command: &str, flag: &str) -> String {
    let run = Cli::command().find_subcommand("run").cloned().unwrap_or_default();
    match command {
        "sampan" if has_flag(&run, flag) => {
            format!("flags of `sampan run` stand behind `run`: `sampan run {flag} … PROGRAM`")
        }
        "sampan run" => format!("{}; flags of the program itself stand behind it", help_of(command)),
        command => help_of(command),
    }
}

fn has_flag(command: &Command, flag: &str) -> bool {
    let letter = |flag: &str| flag.strip_prefix('-').and_then(|rest| rest.chars().next());
    command.get_arguments().any(|arg| {
        arg.get_long().is_some_and(|long| flag.strip_prefix("--") == Some(long))
            || (!flag.starts_with("--") && arg.get_short().is_some_and(|short| letter(flag) == Some(short)))
    })
}

fn help_of(command: &str) -> String {
    format!("`{command} --help` shows how it is used")
}

/// The command that a line of usage is about: `sampan run` of `Usage: sampan run [OPTIONS] …`.
fn command(usage: &str) -> String {
    let words = usage.split_whitespace().skip(1);
    let words: Vec<&str> = words.take_while(|word| word.chars().all(|c| c.is_ascii_lowercase())).collect();
    if words.is_empty() { "sampan".to_owned() } else { words.join(" ") }
}

/// The name of an argument without what clap puts around it: `--dir` of `--dir <DIR>`, `PROGRAM` of `<PROGRAM>`.
fn plain(arg: &str) -> String {
    let ends: &[char] = if arg.starts_with('-') { &[' ', '[', '='] } else { &[' '] };
    arg[..arg.find(ends).unwrap_or(arg.len())].trim_matches(['<', '>', '[', ']', '.']).to_owned()
}

fn texts(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        Some(ContextValue::StyledStr(text)) => vec![text.to_string()],
        _ => Vec::new(),
    }
}

/// Clap's own words, for what cannot happen with the flags there are today.
fn first_line(error: &clap::Error) -> Report {
    let rendered = error.render().to_string();
    let line = rendered.lines().next().unwrap_or_default();
    Report::usage(line.trim_start_matches("error: ").replace('\'', "`"))
}
