//! Finds the manifest of an app, and reads it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use engine::Form;
use image::limits::NAME_BYTES_MAX;
use image::{Manifest, Name};

use crate::report::Report;

const MANIFEST: &str = "sampan.toml";

/// An app on disk.
pub(crate) struct Found {
    /// The manifest's file.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) manifest: Manifest,
    /// Whether there is no manifest, and the file is the app's program.
    pub(crate) is_program: bool,
}

/// Whether `path` is a directory or a file that could be an app, and no program.
pub(crate) fn is_app(path: &Path) -> bool {
    path.is_dir() || path.extension().is_some_and(|extension| extension == "toml")
}

/// Reads the manifest at `path`, or in the directory there.
///
/// # Errors
/// When there is none, or it is not as it should be.
pub(crate) fn read(path: &Path) -> Result<Found, Report> {
    let path = if path.is_dir() { path.join(MANIFEST) } else { path.to_owned() };
    let path = path.strip_prefix("./").map(Path::to_owned).unwrap_or(path);
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let report = Report::usage(format!("cannot read `{shown}`")).cause(error);
        report.hint("name a directory with a `sampan.toml`; `sampan new` writes one")
    })?;
    let manifest = Manifest::parse(&text, &shown).map_err(Report::usage)?;
    Ok(Found { path, manifest, is_program: false })
}

/// The same; but a program stands for an app of one function, which answers all requests and may touch nothing.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_or_program(path: &Path) -> Result<Found, Report> {
    if is_app(path) || !holds_program(path)? {
        return read(path);
    }
    let shown = path.display().to_string();
    let file = path
        .file_name()
        .and_then(OsStr::to_str)
        .ok_or_else(|| Report::usage(format!("cannot serve `{shown}`")).cause("its name is not in UTF-8"))?;
    let name = name_of(path);
    // Both know a text by the same signs.
    let program = serde_json::Value::from(file);
    let text = format!(
        "[app]\nname = \"{name}\"\nversion = \"0.0.0\"\n[functions.{name}]\nprogram = {program}\n\
         [[routes]]\npath = \"/{{*rest}}\"\nfunction = \"{name}\"\n"
    );
    let manifest = Manifest::parse(&text, &shown).map_err(Report::usage)?;
    Ok(Found { path: path.to_owned(), manifest, is_program: true })
}

/// Whether a file is a program, and no text that may be a manifest; of one that cannot be read, its reader tells more.
///
/// # Errors
/// When it is neither.
fn holds_program(path: &Path) -> Result<bool, Report> {
    // What is no file may be read only once.
    let Some(bytes) = path.is_file().then(|| engine::read(path).ok()).flatten() else { return Ok(false) };
    match Form::detect(&bytes) {
        Ok(_) => Ok(true),
        Err(seems) if bytes.contains(&0) => {
            let report = Report::usage(format!("cannot serve `{}`", path.display()));
            Err(report.cause(seems).hint("name a directory with a `sampan.toml`, or a program"))
        }
        Err(_) => Ok(false),
    }
}

/// What the app of a program is called: as its file, as far as that is a name.
fn name_of(program: &Path) -> String {
    let stem = program.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let from = stem.find(|c: char| c.is_ascii_lowercase()).unwrap_or(stem.len());
    let harmless = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    let name: String = stem[from..].chars().map(harmless).take(NAME_BYTES_MAX).collect();
    Name::try_from(name).map_or_else(|_| "program".to_owned(), |name| name.to_string())
}

impl Found {
    /// The directory of the manifest: what paths in it are relative to.
    pub(crate) fn dir(&self) -> &Path {
        match self.path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        }
    }

    /// Where the app's buckets are, unless it is told otherwise.
    pub(crate) fn state(&self) -> PathBuf {
        self.dir().join(".sampan")
    }
}
