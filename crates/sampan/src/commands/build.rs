//! `sampan build`: compiles a program once, so that every later start only maps its code; or makes a library for C or
//! an executable of it. Of an app, it runs the build commands of the functions.

pub(crate) mod app;
mod executable;
mod library;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use engine::library::Product;
use engine::options::{Codegen, Interrupt};
use engine::{Engine, Error, Profile};

use crate::report::Report;
use crate::source;
use crate::tuning::{Tuning, engine};
use crate::{home, manifest};

use executable::Granted;

pub(crate) use app::{build_function, build_missing};

/// Compile a program to a file that starts at once, or build the programs of an app
#[derive(Args)]
#[command(after_help = "\
Examples:
  sampan build app.wasm -o app.code
  sampan run app.code
  sampan build .                     run the build commands of the app of this directory
  sampan build --codegen native zlib.wasm -o zlib.so
                                     make a library for C, and zlib.h; or zlib.o
  sampan build --codegen native --dir . sort.wasm -o sort
                                     make an executable that may use the files where it runs

Precompiled code is for this user, this machine's processor and this version of sampan.
Libraries and executables are for anybody, on any processor of their target.")]
pub(crate) struct Build {
    /// The program: a module or component, binary or text; `-` reads standard input. Or an app: a directory with a
    /// `sampan.toml`, or such a file
    program: PathBuf,

    /// The file to write, of a program
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Short for `-O codegen=NAME`: cranelift, native or pulley
    #[arg(long, value_name = "NAME")]
    codegen: Option<String>,

    /// Short for `-O bounds=POLICY`: guarded, checked or masked
    #[arg(long, value_name = "POLICY")]
    bounds: Option<String>,

    /// Whom a library is for [default: this machine]
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,

    #[command(flatten)]
    tuning: Tuning,

    #[command(flatten)]
    granted: Granted,
}

/// What is written, which the name of the file and the kind of code say.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Code that `run` starts.
    Code,
    Library(Product),
    Executable,
}

impl Kind {
    fn new(output: &Path, codegen: Codegen) -> Self {
        match (codegen, library::product(output)) {
            (Codegen::Native, Some(product)) => Self::Library(product),
            (Codegen::Native, None) if output.extension().is_none() => Self::Executable,
            _ => Self::Code,
        }
    }
}

impl Build {
    pub(crate) fn execute(mut self) -> Result<(), Report> {
        let short = [("codegen", self.codegen.take()), ("bounds", self.bounds.take())];
        for (key, value) in short.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            self.tuning.set(key, &value);
        }
        let Some(output) = self.output.clone() else {
            return match manifest::is_app(&self.program) {
                true => app::build(&manifest::read(&self.program)?),
                false => {
                    Err(Report::usage("`--output` is missing")
                        .hint("`sampan build --help` shows how it is used"))
                }
            };
        };
        let output = output.as_path();
        self.check_output(output)?;
        let kind = Kind::new(output, self.tuning.settings()?.options.codegen);
        self.check_kind(kind, output)?;
        if kind == Kind::Executable && self.tuning.option("cpu").is_none() {
            self.tuning.set("cpu", engine::library::cpu());
        }
        let engine = engine(self.tuning.settings()?, false)?;
        if self.tuning.profile == Profile::Trusted {
            return Err(Report::usage("cannot build for profile `trusted`")
                .cause("what is built bears no signature, and a signature is what that profile asks for")
                .hint("run the program itself: its code is kept in the code cache"));
        }
        match kind {
            Kind::Library(product) => {
                let (target, cpu) = (self.target.as_deref(), self.tuning.option("cpu"));
                library::build(&self.program, output, product, target, cpu, engine.settings())
            }
            Kind::Executable => {
                let bytes = source::read(&self.program)?;
                let code = self.with(engine, |engine| engine.code(&bytes))?;
                executable::build(output, &code, &self.tuning, &self.granted)
            }
            Kind::Code => {
                let bytes = source::read(&self.program)?;
                let seal =
                    home::seal().map_err(|error| Report::usage("cannot seal the code").cause(error))?;
                self.with(engine, |engine| engine.build(&bytes, output, &seal))
            }
        }
    }

    /// Does something with the engine, or with the one that the program needs.
    fn with<T>(&self, mut engine: Engine, work: impl Fn(&Engine) -> Result<T, Error>) -> Result<T, Report> {
        let explain = |error| source::explain(&self.program, &error);
        let mut done = work(&engine);
        if let Err(Error::Concurrent) = done
            && let Some(other) = engine.with_concurrency()
        {
            engine = other.map_err(explain)?;
            done = work(&engine);
        }
        if let Err(Error::Unstoppable) = done {
            done = engine.with_interrupt(Interrupt::None).and_then(|engine| work(&engine));
        }
        done.map_err(explain)
    }

    /// Refuses a name that says something else than what is written, and flags that mean nothing for it.
    fn check_kind(&self, kind: Kind, output: &Path) -> Result<(), Report> {
        match kind {
            Kind::Code if library::product(output).is_some() => {
                Err(Report::usage(format!("cannot write `{}`", output.display()))
                    .cause("its name says that it is a library for C, and that is native code")
                    .hint("add `--codegen native`, or name what `run` starts otherwise, such as `app.code`"))
            }
            Kind::Code | Kind::Executable if self.target.is_some() => {
                Err(Report::usage("`--target` is for libraries of native code")
                    .hint("`sampan build --codegen native --target TRIPLE app.wasm -o app.o`"))
            }
            Kind::Code | Kind::Library(_) if !self.granted.is_empty() => {
                Err(Report::usage("grants are for executables")
                    .cause("what else is built is given its grants where it runs")
                    .hint("`sampan build --codegen native --dir . app.wasm -o app`"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses an output that is no file of its own: it is replaced whole, whatever it was.
    fn check_output(&self, output: &Path) -> Result<(), Report> {
        let shown = output.display();
        let refuse = |reason: &str| {
            let report = Report::usage(format!("cannot write `{shown}`")).cause(reason);
            Err(report.hint("name a new file with `-o`, such as `app.code`"))
        };
        let (Ok(output), program) = (fs::metadata(output), fs::metadata(&self.program)) else {
            return if output.as_os_str() == "-" { refuse("code needs a file") } else { Ok(()) };
        };
        if !output.is_file() {
            return refuse("it is not a regular file");
        }
        if program.is_ok_and(|program| (program.dev(), program.ino()) == (output.dev(), output.ino())) {
            return refuse("it is the program itself");
        }
        Ok(())
    }
}
