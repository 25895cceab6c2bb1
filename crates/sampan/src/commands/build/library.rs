//! A program as a library for C: an object or a shared object, and its header beside it.

use std::fs;
use std::path::Path;

use engine::library::{Product, host, library, targets};
use engine::{Error, Settings};

use crate::report::Report;
use crate::source;

/// `hosts/c`, made for each target whose libraries the Rust had that made this program.
const RUNTIMES: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/runtimes.rs"));

/// How a header begins that was made here.
const MADE_HERE: &str = "a WebAssembly program as a library, made by `sampan build`";

/// What the name of the file asks for.
pub(super) fn product(output: &Path) -> Option<Product> {
    match output.extension()?.to_str()? {
        "o" => Some(Product::Object),
        "so" => Some(Product::Shared),
        _ => None,
    }
}

/// Makes the library and its header. `cpu` is for all processors of the target unless given.
pub(super) fn build(
    program: &Path,
    output: &Path,
    product: Product,
    target: Option<&str>,
    cpu: Option<&str>,
    settings: &Settings,
) -> Result<(), Report> {
    let target = known(target)?;
    if product == Product::Shared && !targets().any(|(triple, is_shared)| triple == target && is_shared) {
        return Err(Report::usage(format!("there are no shared objects for `{target}`"))
            .hint("name an object, such as `-o lib.o`"));
    }
    let Some((_, runtime)) = RUNTIMES.iter().find(|(triple, _)| *triple == target) else {
        return Err(Report::usage(format!("cannot build libraries for `{target}`"))
            .cause("the Rust that made this `sampan` had no libraries for it")
            .hint(format!("`rustup target add {target}`, and build `sampan` again")));
    };
    let (header, name) = (output.with_extension("h"), output.file_stem().unwrap_or_default());
    check_header(&header)?;
    let bytes = source::read(program)?;
    let made = library(&bytes, &name.to_string_lossy(), target, runtime, product, cpu, settings);
    let made = made.map_err(|error| explain(program, &error))?;
    write(output, &made.library)?;
    write(&header, made.header.as_bytes())
}

fn known(target: Option<&str>) -> Result<&str, Report> {
    let names = || targets().map(|(triple, _)| format!("`{triple}`")).collect::<Vec<_>>().join(", ");
    match target {
        None => host().ok_or_else(|| Report::usage("native code for this machine is not known")),
        Some(target) if targets().any(|(triple, _)| triple == target) => Ok(target),
        Some(target) => {
            Err(Report::usage(format!("cannot build for `{target}`")).hint(format!("one of {}", names())))
        }
    }
}

/// Refuses to replace a header that somebody wrote.
fn check_header(header: &Path) -> Result<(), Report> {
    match fs::read(header) {
        Ok(bytes) if !String::from_utf8_lossy(&bytes).contains(MADE_HERE) => {
            Err(Report::usage(format!("cannot write `{}`", header.display()))
                .cause("the header goes there, and what is there was not made by `sampan build`")
                .hint("name the library otherwise, or move that file away"))
        }
        _ => Ok(()),
    }
}

fn explain(program: &Path, error: &Error) -> Report {
    let shown = source::shown(program);
    match error {
        Error::NotNative(reason) => {
            Report::usage(format!("{shown} cannot become a library for C")).cause(reason)
        }
        error => source::explain(program, error),
    }
}

/// Writes a file that appears whole.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Report> {
    let unfinished = path.with_extension(format!("unfinished-{}", std::process::id()));
    let written = fs::write(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&unfinished);
        Report::usage(format!("cannot write `{}`", path.display())).cause(error)
    })
}
