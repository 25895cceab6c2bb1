//! `sampan build`: compiles a program once, so that every later start only maps its code.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use clap::Args;

use crate::home;
use crate::report::Report;
use crate::source;
use crate::tuning::{Tuning, engine};

/// Compile a program to a file that starts at once
#[derive(Args)]
#[command(after_help = "\
Examples:
  sampan build app.wasm -o app.code
  sampan run app.code

The file is made for this user, this machine's processor and this version of sampan.")]
pub(crate) struct Build {
    /// The program: a module or component, binary or text; `-` reads standard input
    program: PathBuf,

    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    tuning: Tuning,
}

impl Build {
    pub(crate) fn execute(self) -> Result<(), Report> {
        self.check_output()?;
        let engine = engine(self.tuning.settings()?, false)?;
        let bytes = source::read(&self.program)?;
        let seal = home::seal().map_err(|error| Report::usage("cannot seal the code").cause(error))?;
        engine.build(&bytes, &self.output, &seal).map_err(|error| source::explain(&self.program, &error))
    }

    /// Refuses an output that is no file of its own: it is replaced whole, whatever it was.
    fn check_output(&self) -> Result<(), Report> {
        let shown = self.output.display();
        let refuse = |reason: &str| {
            let report = Report::usage(format!("cannot write `{shown}`")).cause(reason);
            Err(report.hint("name a new file with `-o`, such as `app.code`"))
        };
        let (Ok(output), program) = (fs::metadata(&self.output), fs::metadata(&self.program)) else {
            return if self.output.as_os_str() == "-" { refuse("code needs a file") } else { Ok(()) };
        };
        if !output.is_file() {
            return refuse("it is not a regular file");
        }
        if program.is_ok_and(|program| (program.dev(), program.ino()) == (output.dev(), output.ino())) {
            return refuse("it is the program itself");
        }
        Ok(())
    }
}
