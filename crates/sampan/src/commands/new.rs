//! `sampan new`: writes an app that works, to begin with.

mod templates;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, ValueHint};
use image::Name;

use crate::report::Report;
use templates::Template;

/// Write a new app: a function that answers over HTTP, and what builds and serves it
#[derive(Args)]
#[command(after_help = "\
Examples:
  sampan new shop
  sampan new shop --lang python
  cd shop && sampan build . && sampan serve")]
pub(crate) struct New {
    /// The directory to write; its name becomes the app's
    #[arg(value_name = "NAME", value_hint = ValueHint::DirPath)]
    directory: PathBuf,

    /// The language of its function
    #[arg(long, value_name = "LANGUAGE", value_enum, default_value_t = Language::Rust)]
    lang: Language,
}

#[derive(Clone, Copy, ValueEnum)]
enum Language {
    Rust,
    C,
    Js,
    Python,
    Go,
    Wat,
}

impl New {
    pub(crate) fn execute(self) -> Result<(), Report> {
        let name = self.name()?;
        self.check_empty()?;
        let template = match self.lang {
            Language::Rust => &templates::RUST,
            Language::C => &templates::C,
            Language::Js => &templates::JS,
            Language::Python => &templates::PYTHON,
            Language::Go => &templates::GO,
            Language::Wat => &templates::WAT,
        };
        for (path, text) in template.files() {
            let path = self.directory.join(path);
            write(&path, &filled(&text, &name)).map_err(|error| {
                Report::failure(format!("cannot write `{}`", path.display())).cause(error)
            })?;
        }
        self.say_next(template);
        Ok(())
    }

    /// The app's name: that of the directory.
    fn name(&self) -> Result<Name, Report> {
        let shown = self.directory.display();
        let name = self.directory.file_name().map(|name| name.to_string_lossy().into_owned());
        let report = || Report::usage(format!("`{shown}` cannot name an app"));
        let name = name.ok_or_else(|| report().hint("name a new directory, such as `shop`"))?;
        Name::try_from(name).map_err(|error| report().cause(error))
    }

    fn check_empty(&self) -> Result<(), Report> {
        let shown = self.directory.display();
        match fs::read_dir(&self.directory).map(|mut files| files.next()) {
            Ok(None) => Ok(()),
            Ok(Some(_)) => {
                let report = Report::usage(format!("`{shown}` is there already, and is not empty"));
                Err(report.hint("name a new directory"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Report::usage(format!("cannot write to `{shown}`")).cause(error)),
        }
    }

    fn say_next(&self, template: &Template) {
        let shown = self.directory.display();
        eprintln!("sampan: `{shown}` is an app in {}", template.language);
        if let Some((tool, origin)) = template.missing_tool() {
            eprintln!("sampan: `{tool}` builds it, and is not here: {origin}");
        }
        match template.is_built {
            true => eprintln!("sampan: next, `cd {shown} && sampan build . && sampan serve`"),
            false => eprintln!("sampan: next, `cd {shown} && sampan serve`"),
        }
    }
}

/// A template's text for the app called `name`.
fn filled(text: &str, name: &Name) -> String {
    text.replace("{{name}}", name).replace("{{crate}}", &name.replace('-', "_"))
}

/// Writes a file that was not there.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}
