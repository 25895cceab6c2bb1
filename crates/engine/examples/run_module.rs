//! Runs a module: its `_start`, without anything from outside.

use engine::wasmtime::Linker;
use engine::{Compiled, Engine, Profile, Settings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::new(Settings::new(Profile::Dense))?;
    let program = engine.load(b"(module (func (export \"_start\")))", None)?;
    let Compiled::Module(module) = program.into_compiled() else { unreachable!("it is text of a module") };

    let mut store = engine.store(engine.meter());
    let instance = Linker::new(engine.wasmtime()).instantiate(&mut store, &module)?;
    instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ())?;
    println!("it ran to its end");
    Ok(())
}
