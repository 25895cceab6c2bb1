//! Gives a program a function of the host, and keeps data for it.

use engine::wasmtime::{Caller, Linker};
use engine::{Compiled, Engine, Meter, Metered, Profile, Settings};

/// What stands behind the program: its meter, and what the embedder likes to add.
struct Guest {
    meter: Meter,
    heard: Vec<i32>,
}

impl Metered for Guest {
    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }
}

const CALLER: &str = r#"
(module
  (import "host" "tell" (func $tell (param i32)))
  (func (export "_start") (call $tell (i32.const 6)) (call $tell (i32.const 7))))
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::new(Settings::new(Profile::Dense))?;
    let Compiled::Module(module) = engine.load(CALLER.as_bytes(), None)?.into_compiled() else {
        unreachable!("it is text of a module")
    };

    let mut linker = Linker::new(engine.wasmtime());
    linker.func_wrap("host", "tell", |mut caller: Caller<'_, Guest>, number: i32| {
        caller.data_mut().heard.push(number);
    })?;

    let mut store = engine.store(Guest { meter: engine.meter(), heard: Vec::new() });
    let instance = linker.instantiate(&mut store, &module)?;
    instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ())?;
    println!("the program told {:?}", store.data().heard);
    Ok(())
}
