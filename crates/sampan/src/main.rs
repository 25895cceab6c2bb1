//! `sampan`: runs WebAssembly programs, each with as much isolation as it chooses to pay for.

#![forbid(unsafe_code)]

mod appended;
mod authorities;
mod client;
mod collector;
mod commands;
mod dial;
mod home;
mod manifest;
mod registry;
mod report;
mod source;
mod table;
mod trap;
mod trust_list;
mod tuning;
mod usage;
mod watchdog;

use std::ffi::OsString;
use std::path::Path;
use std::process::exit;

use appended::Appended;
use clap::{Args, CommandFactory, Parser, Subcommand};
use report::Report;

/// Run WebAssembly programs, each with as much isolation as it chooses to pay for
#[derive(Parser)]
#[command(name = "sampan", version, after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  sampan hello.wasm                    run a program
  sampan run --dir . sort.wasm in.txt  let it use the files here
  sampan inspect hello.wasm            see what it is and what it would need";

#[derive(Subcommand)]
enum Command {
    Run(commands::run::Run),
    Serve(commands::serve::Serve),
    New(commands::new::New),
    Build(commands::build::Build),
    Inspect(commands::inspect::Inspect),
    Bench(commands::bench::Bench),
    Ps(commands::ps::Ps),
    Logs(commands::logs::Logs),
    Call(commands::call::Call),
    State(commands::state::State),
    Stop(commands::stop::Stop),
    Trust(commands::trust::Trust),
    Completions(commands::completions::Completions),
    #[command(hide = true)]
    Worker(commands::worker::Worker),
    #[command(hide = true)]
    Crowd(commands::crowd::Crowd),
}

fn main() {
    let appended = match appended::find() {
        Ok(appended) => appended,
        Err(error) => Report::usage("cannot read this program").cause(error).print_and_exit(),
    };
    let arguments = match &appended {
        Some(appended) => arguments_for(appended),
        None => arguments(),
    };
    let command = match parse(&arguments) {
        Ok(command) => command,
        Err(error) => usage::end(&error),
    };
    let ended = match command {
        Command::Run(run) => run.with(appended).execute(),
        Command::Serve(serve) => serve.execute(),
        Command::New(new) => new.execute().map(|()| 0),
        Command::Build(build) => build.execute().map(|()| 0),
        Command::Inspect(inspect) => inspect.execute().map(|()| 0),
        Command::Ps(ps) => ps.execute().map(|()| 0),
        Command::Logs(logs) => logs.execute().map(|()| 0),
        Command::Call(call) => call.execute().map(|()| 0),
        Command::State(state) => state.execute().map(|()| 0),
        Command::Stop(stop) => stop.execute().map(|()| 0),
        Command::Trust(trust) => trust.execute().map(|()| 0),
        Command::Completions(completions) => completions.execute().map(|()| 0),
        Command::Bench(bench) => bench.execute().map(|()| 0),
        Command::Worker(worker) => worker.execute(),
        Command::Crowd(crowd) => crowd.execute(),
    };
    match ended {
        Ok(code) => exit(code),
        Err(report) => report.print_and_exit(),
    }
}

/// The command that is meant. Of those that are to start at once only that one is made: to make all of them takes a
/// millisecond. What is wrong with it, or asked of it, all of them together tell.
fn parse(arguments: &[OsString]) -> Result<Command, clap::Error> {
    let alone = match arguments.get(1).and_then(|name| name.to_str()) {
        Some("run") => parse_alone(arguments).map(Command::Run),
        Some("serve") => parse_alone(arguments).map(Command::Serve),
        Some("worker") => parse_alone(arguments).map(Command::Worker),
        _ => None,
    };
    alone.map_or_else(|| Cli::try_parse_from(arguments).map(|cli| cli.command), Ok)
}

fn parse_alone<T: Args>(arguments: &[OsString]) -> Option<T> {
    let command = T::augment_args(clap::Command::new("sampan"));
    let matches = command.try_get_matches_from(arguments.get(1..)?).ok()?;
    T::from_arg_matches(&matches).ok()
}

/// How `run` is called for what is appended to this program: all arguments of the process go to that.
fn arguments_for(appended: &Appended) -> Vec<OsString> {
    let run = ["sampan", "run"].into_iter().chain(appended.flags.iter().map(String::as_str)).chain(["--"]);
    run.map(OsString::from).chain(std::env::args_os()).collect()
}

/// The arguments of this process, with `run` put in where the first of them is a program.
fn arguments() -> Vec<OsString> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(first) = arguments.get(1)
        && is_program(first)
    {
        arguments.insert(1, "run".into());
    }
    arguments
}

/// Whether the first argument can only be meant as a program: no command, and it looks like a file or is one.
fn is_program(first: &OsString) -> bool {
    let text = first.to_string_lossy();
    let is_command = || Cli::command().find_subcommand(&*text).is_some() || text == "help";
    let is_path = || text.contains(['.', '/']) || Path::new(first).is_file();
    text == "-" || (!text.starts_with('-') && is_path() && !is_command())
}
