//! `sampan trust`: the programs and keys that may do with less isolation.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueHint};
use image::trust::{self, KeyPair, PublicKey, Trusted};
use serde_json::{Value, json};

use crate::report::{Report, print};
use crate::table::table;
use crate::{source, trust_list};

/// Say which programs, and whose, may run with less isolation
#[derive(Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  sampan trust add solver.wasm --note 'built here'  this very program
  sampan trust key release.key                      a key to sign programs with
  sampan trust sign --key release.key solver.wasm
  sampan trust add release.key.pub                  all that this key has signed
  sampan trust check solver.wasm"
)]
pub(crate) struct Trust {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Trust a program, or all that a key has signed
    Add {
        /// A program, the file of a public key, `sha256:…` or `ed25519:…`
        #[arg(value_hint = ValueHint::FilePath)]
        what: String,

        /// What you want to remember of it
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        note: String,
    },
    /// List whom and what you trust
    Ls {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Trust it no longer
    Rm {
        /// As it is listed, or a file as for `add`
        #[arg(value_hint = ValueHint::FilePath)]
        what: String,
    },
    /// Make a key to sign programs with, and beside it, in `FILE.pub`, the public one that others trust
    Key {
        /// Where the secret key is written
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Sign a program, in place of the signatures that it has
    Sign {
        /// The secret key
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        key: PathBuf,

        /// Where the signed program is written [default: over the program]
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,

        /// The program
        #[arg(value_hint = ValueHint::FilePath)]
        program: PathBuf,
    },
    /// Tell whether a program is trusted, and why
    Check {
        /// The program
        #[arg(value_hint = ValueHint::FilePath)]
        program: PathBuf,
    },
}

impl Trust {
    pub(crate) fn execute(self) -> Result<(), Report> {
        match self.verb {
            Verb::Add { what, note } => {
                let trusted = meant(&what)?;
                trust_list::change(|list| list.add(trusted, &note))?;
                eprintln!("sampan: {trusted} is trusted");
                Ok(())
            }
            Verb::Ls { json } => list(json),
            Verb::Rm { what } => {
                let trusted = meant(&what)?;
                match trust_list::change(|list| Ok(list.remove(&trusted)))? {
                    true => Ok(()),
                    false => Err(Report::usage(format!("`{what}` is not on the trust list"))
                        .hint("`sampan trust ls` shows what is")),
                }
            }
            Verb::Key { file } => make_key(&file),
            Verb::Sign { key, output, program } => sign(&key, &program, output.as_deref()),
            Verb::Check { program } => {
                let entry = trust_list::require(&program, &source::read(&program)?)?;
                print(format!("{}\n", format!("{} {}", entry.trusted, entry.note).trim_end()).as_bytes())
            }
        }
    }
}

/// What stands on the command line: as it is listed, or in a file.
fn meant(what: &str) -> Result<Trusted, Report> {
    if let Ok(trusted) = what.parse() {
        return Ok(trusted);
    }
    if ["sha256:", "ed25519:"].iter().any(|kind| what.starts_with(kind)) {
        return Err(Report::usage(format!("`{what}` is incomplete"))
            .hint("what follows the colon are 64 hexadecimal digits"));
    }
    let bytes = source::read(Path::new(what))?;
    if KeyPair::from_bytes(&bytes).is_ok() {
        return Err(Report::usage(format!("`{what}` is a secret key"))
            .hint(format!("its public half is trusted: `sampan trust add {what}.pub`")));
    }
    Ok(PublicKey::from_bytes(&bytes).map_or_else(|_| Trusted::program(&bytes), Trusted::Key))
}

fn list(json: bool) -> Result<(), Report> {
    let list = trust_list::read()?;
    if json {
        let entries = list.entries().iter().map(|entry| {
            let kind = if matches!(entry.trusted, Trusted::Key(_)) { "key" } else { "program" };
            json!({ "kind": kind, "trusted": entry.trusted.to_string(), "note": entry.note })
        });
        return print(format!("{:#}\n", Value::from_iter(entries)).as_bytes());
    }
    let rows = list.entries().iter().map(|entry| [entry.trusted.to_string(), entry.note.clone()]);
    print(table(["TRUSTED", "NOTE"], rows).as_bytes())
}

fn make_key(file: &Path) -> Result<(), Report> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| Report::failure("cannot make a key").cause(io::Error::other(error)))?;
    let pair = KeyPair::from_random(secret);
    let mut public = file.as_os_str().to_owned();
    public.push(".pub");
    write_new(file, &pair.to_bytes(), 0o600)?;
    if let Err(report) = write_new(Path::new(&public), &pair.public().to_bytes(), 0o644) {
        // One half alone is of no use.
        let _ = fs::remove_file(file);
        return Err(report);
    }
    print(format!("{}\n", pair.public()).as_bytes())
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Report> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|error| {
        let report = Report::usage(format!("cannot write `{}`", path.display())).cause(&error);
        match error.kind() {
            ErrorKind::AlreadyExists => report.hint("a key is never written over: name another file"),
            _ => report,
        }
    })
}

fn sign(key: &Path, program: &Path, output: Option<&Path>) -> Result<(), Report> {
    let bytes = source::read(key)?;
    let pair = KeyPair::from_bytes(&bytes).map_err(|error| {
        let report = Report::usage(format!("`{}` is no key to sign with", key.display())).cause(error);
        report.hint("`sampan trust key FILE` makes one")
    })?;
    let signed = trust::sign(&source::read(program)?, &pair).map_err(|error| {
        let report = Report::usage(format!("cannot sign {}", source::shown(program))).cause(error);
        report.hint("a program in text form is trusted by its digest: `sampan trust add`")
    })?;
    let output = output.unwrap_or(program);
    replace(output, &signed)
        .map_err(|error| Report::failure(format!("cannot write `{}`", output.display())).cause(error))
}

/// Writes a file beside its place and renames it into it, so that it is whole whenever somebody reads it.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}", std::process::id()));
    let done = fs::write(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, path));
    if done.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    done
}
