//! The user's trust list: a file that only its user can change, replaced as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use image::limits::TRUST_LIST_BYTES_MAX;
use image::trust::{Distrust, Entry, ListError, TrustList, is_trusted};

use crate::home;
use crate::report::Report;

const FILE: &str = "trust.list";

/// What makes a program one that the profile `trusted` runs; an error, with the reason, if nothing does. That profile asks
/// this with the bytes that it then compiles.
pub(crate) fn require(path: &Path, program: &[u8]) -> Result<Entry, Report> {
    is_trusted(program, &read()?).cloned().map_err(|distrust| {
        let shown = path.display();
        let report = Report::failure(format!("`{shown}` is not trusted")).cause(&distrust);
        match distrust {
            Distrust::Changed | Distrust::Malformed(_) => {
                report.hint("get it again from whoever signed it")
            }
            _ => report.hint(format!(
                "`sampan trust add {shown}` trusts this very program, `sampan trust add KEY.pub` all that a key has signed"
            )),
        }
    })
}

/// The list as it is now.
pub(crate) fn read() -> Result<TrustList, Report> {
    let failed = |error| Report::failure("cannot read the trust list").cause(error);
    let path = home::data_directory().map_err(failed)?.join(FILE);
    let text = text(&path).map_err(failed)?;
    text.parse().map_err(|error: ListError| {
        let report = Report::failure("cannot read the trust list").cause(error);
        report.hint(format!("mend or remove `{}`", path.display()))
    })
}

/// Changes the list: as a whole or not at all, and nobody else does meanwhile.
pub(crate) fn change<T>(change: impl FnOnce(&mut TrustList) -> Result<T, ListError>) -> Result<T, Report> {
    let failed = |error| Report::failure("cannot change the trust list").cause(error);
    let directory = home::data_directory().map_err(failed)?;
    let lock = private(&directory.join("trust.lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let mut list = read()?;
    let done =
        change(&mut list).map_err(|error| Report::usage("cannot change the trust list").cause(error))?;
    let next = directory.join("trust.next");
    write(&next, &list.to_string()).and_then(|()| fs::rename(&next, directory.join(FILE))).map_err(failed)?;
    Ok(done)
}

fn text(path: &Path) -> io::Result<String> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        file => file?,
    };
    if file.metadata()?.mode() & 0o077 != 0 {
        let advice = format!("other users can reach `{}`; `chmod 600` it if it is right", path.display());
        return Err(io::Error::new(ErrorKind::PermissionDenied, advice));
    }
    let mut text = String::new();
    file.take(TRUST_LIST_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    // What a process that was killed left behind may be longer.
    let mut file = private(path)?;
    file.set_len(0)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A file that only this user can reach.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}
