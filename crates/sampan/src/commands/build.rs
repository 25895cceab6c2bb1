//! `sampan build`: compiles a program once, so that every later start only maps its code; or makes a library for C of it.
//! Of an app, it runs the build commands of the functions.

pub(crate) mod app;
mod library;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use engine::options::{Codegen, Interrupt};
use engine::{Error, Profile};

use crate::report::Report;
use crate::source;
use crate::tuning::{Tuning, engine};
use crate::{home, manifest};

pub(crate) use app::{build_function, build_missing};

/// Compile a program to a file that starts at once, or build the programs of an app
#[derive(Args)]
#[command(after_help = "\
Examples:
  sampan build app.wasm -o app.code
  sampan run app.code
  sampan build --codegen native zlib.wasm -o zlib.so      a library for C, and zlib.h
  sampan build .                     run the build commands of the app of this directory

The file is made for this user, this machine's processor and this version of sampan. Native code can also become a
library for C with a header: an object (.o) or a shared object (.so), for all processors of its target.")]
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
}

impl Build {
    pub(crate) fn execute(mut self) -> Result<(), Report> {
        let short = [("codegen", self.codegen.take()), ("bounds", self.bounds.take())];
        for (key, value) in short.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            self.tuning.set(key, &value);
        }
        let Some(output) = &self.output else {
            return match manifest::is_app(&self.program) {
                true => app::build(&manifest::read(&self.program)?),
                false => {
                    Err(Report::usage("`--output` is missing")
                        .hint("`sampan build --help` shows how it is used"))
                }
            };
        };
        self.check_output(output)?;
        let settings = self.tuning.settings()?;
        let product = library::product(output).filter(|_| settings.options.codegen == Codegen::Native);
        if self.target.is_some() && product.is_none() {
            return Err(Report::usage("`--target` is for libraries of native code")
                .hint("`sampan build --codegen native --target TRIPLE app.wasm -o app.o`"));
        }
        let mut engine = engine(settings, false)?;
        if self.tuning.profile == Profile::Trusted {
            return Err(Report::usage("cannot build for profile `trusted`")
                .cause("what is built bears no signature, and a signature is what that profile asks for")
                .hint("run the program itself: its code is kept in the code cache"));
        }
        if let Some(product) = product {
            let (target, cpu) = (self.target.as_deref(), self.tuning.option("cpu"));
            return library::build(&self.program, output, product, target, cpu, engine.settings());
        }
        let bytes = source::read(&self.program)?;
        let seal = home::seal().map_err(|error| Report::usage("cannot seal the code").cause(error))?;
        let mut built = engine.build(&bytes, output, &seal);
        if let Err(Error::Concurrent) = built
            && let Some(other) = engine.with_concurrency()
        {
            engine = other.map_err(|error| source::explain(&self.program, &error))?;
            built = engine.build(&bytes, output, &seal);
        }
        if let Err(Error::Unstoppable) = built {
            let engine = engine.with_interrupt(Interrupt::None);
            built = engine.and_then(|engine| engine.build(&bytes, output, &seal));
        }
        built.map_err(|error| source::explain(&self.program, &error))
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
