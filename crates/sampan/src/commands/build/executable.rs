//! A program as an executable: this very program, with code and flags of `run` appended.
//!
//! What runs is `sampan run`, and whoever can write to the file could as well replace all of it: so what is appended bears
//! no seal.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clap::Args;
use host::grants::{Dir, Peer};

use super::library::write;
use crate::appended;
use crate::report::Report;
use crate::tuning::Tuning;

/// What an executable may touch, as flags of `run`: checked, and kept as they were given.
#[derive(Args)]
pub(crate) struct Granted {
    /// Let an executable use a directory, as `run` does
    #[arg(long, value_name = "HOST[:GUEST][:ro]", value_parser = dir, help_heading = "Grants of an executable")]
    dir: Vec<String>,

    /// Set an environment variable, or pass the one on that is there when it runs
    #[arg(long, value_name = "NAME[=VALUE]", help_heading = "Grants of an executable")]
    env: Vec<String>,

    /// Let it send to a host over TCP and UDP, and look up its name
    #[arg(long, value_name = "HOST:PORT", value_parser = peer, help_heading = "Grants of an executable")]
    net: Vec<String>,

    /// Let it receive on a local address
    #[arg(long, value_name = "ADDR:PORT", value_parser = address, help_heading = "Grants of an executable")]
    listen: Vec<String>,

    /// Let it send HTTP requests to a host; `*` is any
    #[arg(long, value_name = "HOST[:PORT]", value_parser = server, help_heading = "Grants of an executable")]
    http: Vec<String>,
}

fn dir(text: &str) -> Result<String, String> {
    text.parse::<Dir>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn peer(text: &str) -> Result<String, String> {
    text.parse::<Peer>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn server(text: &str) -> Result<String, String> {
    Peer::server(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn address(text: &str) -> Result<String, String> {
    let expected = "expected `ADDR:PORT`, such as `127.0.0.1:8080` or `[::1]:8080`";
    text.parse::<SocketAddr>().map(|_| text.to_owned()).map_err(|_| expected.to_owned())
}

impl Granted {
    pub(super) fn is_empty(&self) -> bool {
        self.flags().is_empty()
    }

    fn flags(&self) -> Vec<String> {
        let all = [
            ("dir", &self.dir),
            ("env", &self.env),
            ("net", &self.net),
            ("listen", &self.listen),
            ("http", &self.http),
        ];
        all.iter()
            .flat_map(|(name, values)| values.iter().map(move |value| format!("--{name}={value}")))
            .collect()
    }
}

/// Writes the executable.
pub(super) fn build(output: &Path, code: &[u8], tuning: &Tuning, granted: &Granted) -> Result<(), Report> {
    let flags = [tuning.flags(), granted.flags()].concat();
    let this = appended::without().map_err(|error| Report::usage("cannot read this program").cause(error))?;
    write(output, &appended::append(this, code, &flags))?;
    let executable = fs::set_permissions(output, fs::Permissions::from_mode(0o755));
    executable.map_err(|error| Report::usage(format!("cannot write `{}`", output.display())).cause(error))
}
