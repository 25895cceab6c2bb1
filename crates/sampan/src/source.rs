//! Where a program comes from: a file, or standard input.

use std::io::stdin;
use std::path::Path;

use engine::{CodeCache, Engine, Error, Program};

use crate::home;
use crate::report::Report;

/// The bytes of the program at `path`; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Report> {
    if is_stdin(path) {
        return engine::bounded(stdin().lock())
            .map_err(|error| Report::usage("cannot read the program from standard input").cause(error));
    }
    engine::read(path).map_err(|error| explain(path, &error))
}

/// The program at `path`, ready to run; `-` is standard input.
pub(crate) fn load(engine: &Engine, path: &Path, cache: Option<&CodeCache>) -> Result<Program, Report> {
    let program = if is_stdin(path) {
        engine.load(&read(path)?, cache)
    } else {
        engine.load_file(path, cache, || home::seal().ok())
    };
    program.map_err(|error| explain(path, &error))
}

/// The program's name: the file's, as the program itself sees it too.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What a user reads when the program cannot be made ready.
pub(crate) fn explain(path: &Path, error: &Error) -> Report {
    let shown = path.display();
    match error {
        Error::NotWasm(_) | Error::Text(_) => {
            let report =
                Report::usage(format!("cannot use `{shown}` as a program")).cause(error).causes_of(error);
            report.hint("a program is a WebAssembly module or component, binary (.wasm) or text (.wat)")
        }
        Error::Invalid(source) => Report::usage(format!("`{shown}` is not a valid WebAssembly program"))
            .cause(format!("{source:#}")),
        Error::Incompatible(source) => Report::usage(format!("`{shown}` was precompiled for another engine"))
            .cause(format!("{source:#}"))
            .hint("build it again from the program with `sampan build`, here and with the same options"),
        Error::Unsealed => Report::usage(format!("`{shown}` is precompiled code that was not built here"))
            .cause("such code is run unchecked: whoever made the file could do all that you can")
            .hint("run the program it was made from, or, if you trust its maker, add `-O precompiled=any`"),
        Error::Setup(source) => Report::usage(error).cause(format!("{source:#}")),
        _ => Report::from_error(error),
    }
}
