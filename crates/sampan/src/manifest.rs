//! Finds the manifest of an app, and reads it.

use std::path::{Path, PathBuf};

use image::Manifest;

use crate::report::Report;

const MANIFEST: &str = "sampan.toml";

/// An app on disk.
pub(crate) struct Found {
    /// The manifest's file.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) manifest: Manifest,
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
    Ok(Found { path, manifest })
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
