//! Runs the build commands of an app's functions.

use std::collections::HashSet;
use std::io::stderr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use image::{Build, Function};

use crate::manifest::Found;
use crate::report::Report;

/// Runs each build command of an app once, in the order of the functions' names. What the tools print goes to standard
/// error as it comes.
///
/// # Errors
/// The first command that fails, or does not make its program.
pub(crate) fn build(app: &Found) -> Result<(), Report> {
    let built = build_where(app, |_| true)?;
    match built {
        0 => eprintln!("sampan: no function of `{}` has a build command", app.path.display()),
        _ => eprintln!("sampan: {} is built", *app.manifest.app.name),
    }
    Ok(())
}

/// The same, of those functions only whose program is not there.
///
/// # Errors
/// As [`build`].
pub(crate) fn build_missing(app: &Found) -> Result<(), Report> {
    build_where(app, |function| !program(app, function).is_file()).map(drop)
}

/// The same, of one function.
///
/// # Errors
/// As [`build`].
pub(crate) fn build_function(app: &Found, name: &str) -> Result<(), Report> {
    let one = &app.manifest.functions[name];
    build_where(app, |function| std::ptr::eq(function, one)).map(drop)
}

fn build_where(app: &Found, wanted: impl Fn(&Function) -> bool) -> Result<usize, Report> {
    let mut done = HashSet::new();
    let mut built = 0;
    for (name, function) in app.manifest.functions.iter().filter(|(_, function)| wanted(function)) {
        let Some(build) = &function.build else { continue };
        let dir = build.dir.as_ref().map_or_else(|| app.dir().to_owned(), |dir| app.dir().join(&**dir));
        if done.insert((dir.clone(), build.command.clone())) {
            run(name, build, &dir)?;
        }
        built += 1;
        let program = program(app, function);
        if !program.is_file() {
            let report = Report::failure(format!("building function `{}` made no program", **name));
            let report = report.cause(format!("there is no `{}`", program.display()));
            return Err(report.hint("let `program` name what the build command writes"));
        }
    }
    Ok(built)
}

fn program(app: &Found, function: &Function) -> PathBuf {
    app.dir().join(&**function.program)
}

fn run(function: &str, build: &Build, dir: &Path) -> Result<(), Report> {
    eprintln!("sampan: building {function}: {}", build.command);
    let failed = || Report::failure(format!("cannot build function `{function}`"));
    // What a tool prints is talk, whatever it prints it to.
    let stdout = stderr().as_fd().try_clone_to_owned().map_or_else(|_| Stdio::null(), Stdio::from);
    let mut shell = Command::new("sh");
    let ended =
        shell.args(["-c", &build.command]).current_dir(dir).stdin(Stdio::null()).stdout(stdout).status();
    match ended.map_err(|error| failed().cause(format!("in `{}`: {error}", dir.display())))? {
        ended if ended.success() => Ok(()),
        ended => Err(failed().cause(format!("`{}` ended with {ended}", build.command))),
    }
}
