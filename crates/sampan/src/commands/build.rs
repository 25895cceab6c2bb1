//! `sampan build`: compiles a program once, so that every later start only maps its code.

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
        let engine = engine(self.tuning.settings()?, false)?;
        let bytes = source::read(&self.program)?;
        let seal = home::seal().map_err(|error| Report::usage("cannot seal the code").cause(error))?;
        engine.build(&bytes, &self.output, &seal).map_err(|error| source::explain(&self.program, &error))
    }
}
