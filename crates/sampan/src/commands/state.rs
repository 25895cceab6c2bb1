//! `sampan state`: what an app remembers, whether it runs or not.

mod here;
mod there;

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Read, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand, ValueHint};
use serde_json::{Value, json};
use state::Error;
use state::limits::VALUE_BYTES_MAX;

use crate::registry::{self, Running};
use crate::report::{Report, print};
use crate::table::{printable, table};
use crate::{client::Client, manifest};

/// Look at what an app remembers, and change it
#[derive(Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  sampan state ls                         the buckets of the app here, or of the only one that runs
  sampan state ls carts --prefix eu/      keys
  sampan state get carts eu/42 > cart.json
  sampan state export carts > carts.jsonl"
)]
pub(crate) struct State {
    #[command(subcommand)]
    verb: Verb,

    /// A directory with a `sampan.toml`, or an app that runs [default: this directory, or the only one that runs]
    #[arg(long, global = true, value_name = "DIR|NAME", value_hint = ValueHint::AnyPath)]
    app: Option<String>,

    /// Where an app that does not run keeps its buckets [default: `.sampan` beside the manifest]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    state: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Verb {
    /// List the buckets, or the keys of one
    Ls {
        /// The bucket
        bucket: Option<String>,

        /// Only keys that begin with this
        #[arg(long, requires = "bucket", default_value = "", hide_default_value = true)]
        prefix: String,

        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a value as it is
    Get {
        /// The bucket
        bucket: String,

        /// The key
        key: String,
    },
    /// Set a value
    Put {
        /// The bucket
        bucket: String,

        /// The key
        key: String,

        /// Its value; `-` reads standard input
        value: String,
    },
    /// Remove keys
    Rm {
        /// The bucket
        bucket: String,

        /// The keys
        #[arg(required = true)]
        keys: Vec<String>,
    },
    /// Print all entries of a bucket, a JSON object on each line
    Export {
        /// The bucket
        bucket: String,
    },
    /// Write such lines into a bucket, over what is there
    Import {
        /// The bucket
        bucket: String,

        /// The file with the lines; `-` reads standard input
        #[arg(default_value = "-", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
}

/// How long another process may have the store until its user is told, and how often it is looked for meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);
/// See [`PATIENCE`].
const PAUSE: Duration = Duration::from_millis(20);

/// Takes a key, as it is listed.
type EachKey<'a> = &'a mut dyn FnMut(Vec<u8>) -> Result<(), Report>;

/// The buckets of an app, wherever they are.
trait Buckets {
    /// Each bucket with `durability`, `keys` and `bytes`.
    fn list(&self) -> Result<Vec<Value>, Report>;
    fn keys(&self, bucket: &str, prefix: &str, each: EachKey<'_>) -> Result<(), Report>;
    fn get(&self, bucket: &str, key: &str) -> Result<Vec<u8>, Report>;
    fn put(&self, bucket: &str, key: &str, value: Vec<u8>) -> Result<(), Report>;
    fn remove(&self, bucket: &str, key: &str) -> Result<(), Report>;
    fn export(&self, bucket: &str, to: &mut dyn Write) -> Result<(), Report>;
    /// Says how many entries there were.
    fn import(&self, bucket: &str, from: Box<dyn Read + Send>) -> Result<u64, Report>;
}

impl State {
    pub(crate) fn execute(self) -> Result<(), Report> {
        let buckets = self.buckets()?;
        match self.verb {
            Verb::Ls { bucket: None, json, .. } => list(buckets.list()?, json),
            Verb::Ls { bucket: Some(bucket), prefix, json } => keys(&*buckets, &bucket, &prefix, json),
            Verb::Get { bucket, key } => print(&buckets.get(&bucket, &key)?),
            Verb::Put { bucket, key, value } => buckets.put(&bucket, &key, given(value)?),
            Verb::Rm { bucket, keys } => keys.iter().try_for_each(|key| buckets.remove(&bucket, key)),
            Verb::Export { bucket } => buckets.export(&bucket, &mut BufWriter::new(Printed)),
            Verb::Import { bucket, file } => {
                let count = buckets.import(&bucket, opened(&file)?)?;
                eprintln!("sampan: {count} entries are written");
                Ok(())
            }
        }
    }

    /// The buckets of the app that is meant: through its node while it runs, for that holds the files.
    fn buckets(&self) -> Result<Box<dyn Buckets>, Report> {
        let named = self.app.as_deref();
        let path = Path::new(named.unwrap_or("."));
        let is_here = manifest::is_app(path) && (named.is_some() || path.join("sampan.toml").is_file());
        if !is_here {
            return there(&registry::find(named)?);
        }
        let found = manifest::read(path)?;
        let directory = self.state.clone().unwrap_or_else(|| found.state());
        let begun = Instant::now();
        loop {
            let running = registry::of(&found.path)?;
            if let Some(running) = running.as_ref().filter(|_| self.state.is_none()) {
                return there(running);
            }
            match (here::open(&directory), running) {
                (Ok(store), _) => return Ok(Box::new(here::Here { found, store })),
                (Err(Error::InUse { .. }), _) if begun.elapsed() < PATIENCE => sleep(PAUSE),
                (Err(error @ Error::InUse { .. }), Some(Running { entry, .. })) => {
                    let hint = format!(
                        "`{}` runs, as process {}: without `--state` it is asked",
                        entry.app, entry.pid
                    );
                    return Err(Report::from_error(&error).hint(hint));
                }
                (Err(error @ Error::InUse { .. }), None) => {
                    let hint = "its app starts or stops, or another `sampan state` is at work: try again when that is over; \
                                `sampan ps` lists the app when it runs";
                    return Err(Report::from_error(&error).hint(hint));
                }
                (Err(error), _) => return Err(here::report(error)),
            }
        }
    }
}

fn there(running: &Running) -> Result<Box<dyn Buckets>, Report> {
    Ok(Box::new(there::There(Client::of(&running.entry)?)))
}

fn list(buckets: Vec<Value>, json: bool) -> Result<(), Report> {
    if json {
        return print(format!("{:#}\n", Value::from(buckets)).as_bytes());
    }
    let rows = buckets.iter().map(|bucket| {
        ["bucket", "durability", "keys", "bytes"].map(|name| match &bucket[name] {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        })
    });
    print(table(["BUCKET", "DURABILITY", "KEYS", "BYTES"], rows).as_bytes())
}

fn keys(buckets: &dyn Buckets, bucket: &str, prefix: &str, json: bool) -> Result<(), Report> {
    let mut all = Vec::new();
    buckets.keys(bucket, prefix, &mut |key| match json {
        true => {
            all.push(key_json(key));
            Ok(())
        }
        false => print(format!("{}\n", printable(&String::from_utf8_lossy(&key))).as_bytes()),
    })?;
    if json { print(format!("{:#}\n", Value::from(all)).as_bytes()) } else { Ok(()) }
}

fn key_json(key: Vec<u8>) -> Value {
    match String::from_utf8(key) {
        Ok(key) => json!({ "key": key }),
        Err(error) => json!({ "key_base64": STANDARD.encode(error.as_bytes()) }),
    }
}

/// A value of the command line, or from standard input.
fn given(value: String) -> Result<Vec<u8>, Report> {
    if value != "-" {
        return Ok(value.into_bytes());
    }
    let mut bytes = Vec::new();
    // One byte too many is refused by the store, with the reason.
    stdin()
        .lock()
        .take(VALUE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Report::usage("cannot read standard input").cause(error))?;
    Ok(bytes)
}

fn opened(file: &Path) -> Result<Box<dyn Read + Send>, Report> {
    if file.as_os_str() == "-" {
        return Ok(Box::new(stdin()));
    }
    let cannot = |error: io::Error| Report::usage(format!("cannot read `{}`", file.display())).cause(error);
    Ok(Box::new(File::open(file).map_err(cannot)?))
}

/// Standard output; a reader that has seen enough ends this process, quietly.
struct Printed;

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match stdout().write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match stdout().flush() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
            flushed => flushed,
        }
    }
}
