//! `sampan completions`: what a shell needs to complete command lines.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::Cli;
use crate::report::{Report, print};

/// Print the completion script of a shell
#[derive(Args)]
#[command(after_help = "\
Examples:
  sampan completions bash > ~/.local/share/bash-completion/completions/sampan
  sampan completions fish > ~/.config/fish/completions/sampan.fish")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn execute(self) -> Result<(), Report> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "sampan", &mut script);
        print(&script)
    }
}
