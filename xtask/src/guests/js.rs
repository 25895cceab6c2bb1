//! `guests/js/*.js`: each file is one component, made by componentize-js (SpiderMonkey and the program's snapshot).
//!
//! It is a WASI 0.2 command, or has the world of the `.wit` file of the same name.

use super::*;
use crate::{cache, process};
use std::process::Command;

/// What the packages are installed from; the script lies beside them because node looks for packages there.
const TOOL: [&str; 3] = ["package.json", "package-lock.json", "componentize.mjs"];

pub(super) struct Js;

impl Kind for Js {
    fn name(&self) -> &'static str {
        "js"
    }

    fn programs(&self, sources: &Path) -> Result<Vec<Program>> {
        let tool = tool_key(sources)?;
        let with_key = |name: String| {
            let source = sources.join(format!("{name}.js"));
            let world = Some(source.with_extension("wit")).filter(|world| world.is_file());
            let inputs: Vec<PathBuf> = std::iter::once(source).chain(world).collect();
            Ok(Program { name, key: Key::default().field(&tool).files(&inputs)?.hex() })
        };
        stems(&files(sources)?, "js").into_iter().map(with_key).collect()
    }

    fn build(&self, programs: &[&Program], sources: &Path, out: &Path) -> Result<()> {
        let tool = install(sources)?;
        for Program { name, .. } in programs {
            let unfinished = out.join(format!("{name}.unfinished"));
            let mut node = Command::new("node");
            node.arg(tool.join("componentize.mjs")).arg(sources.join(format!("{name}.js"))).arg(&unfinished);
            process::run(&mut node)?;
            fs::rename(unfinished, out.join(format!("{name}.wasm")))?;
        }
        Ok(())
    }
}

fn tool_key(sources: &Path) -> Result<String> {
    Ok(Key::default().files(&TOOL.map(|file| sources.join(file)))?.hex())
}

/// Installs the packages that the lock file names into the cache, once.
///
/// With `npm install`, for `npm ci` wants optional packages of every platform in the lock file, and a mirror of the
/// registry may lack some.
fn install(sources: &Path) -> Result<PathBuf> {
    cache::entry(&format!("componentize-js-{}", &tool_key(sources)?[..16]), |dir| {
        eprintln!("installing the packages of guests/js");
        for file in TOOL {
            fs::copy(sources.join(file), dir.join(file))?;
        }
        process::run(Command::new("npm").current_dir(dir).args([
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
        ]))
    })
}
