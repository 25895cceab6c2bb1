//! `sampan inspect`: what a program is, and what it would need.

use std::path::PathBuf;

use clap::Args;

use crate::report::Report;
use crate::source;

/// Show what a program is and what it would need
#[derive(Args)]
pub(crate) struct Inspect {
    /// The program: a module or component, binary or text; `-` reads standard input
    program: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn execute(self) -> Result<(), Report> {
        let _bytes = source::read(&self.program)?;
        Ok(())
    }
}
