//! Calls an exported function of a program that may hold 1 MiB and do 10,000 units of work.

use engine::wasmtime::Linker;
use engine::{Compiled, Engine, Profile, Settings};

const FACTORIAL: &str = r#"
(module
  (func $factorial (export "factorial") (param i64) (result i64)
    (if (result i64) (i64.eqz (local.get 0))
      (then (i64.const 1))
      (else (i64.mul (local.get 0) (call $factorial (i64.sub (local.get 0) (i64.const 1))))))))
"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut settings = Settings::new(Profile::Dense);
    settings.limits.memory_bytes_max = 1 << 20;
    settings.limits.fuel_max = Some(10_000);
    let engine = Engine::new(settings)?;
    let Compiled::Module(module) = engine.load(FACTORIAL.as_bytes(), None)?.into_compiled() else {
        unreachable!("it is text of a module")
    };

    let mut store = engine.store(engine.meter());
    let instance = Linker::new(engine.wasmtime()).instantiate(&mut store, &module)?;
    let factorial = instance.get_typed_func::<i64, i64>(&mut store, "factorial")?;
    println!("20! is {}", factorial.call(&mut store, 20)?);

    // Without end, but not for long.
    let error = factorial.call(&mut store, -1).expect_err("it recurses for ever");
    println!("the factorial of -1: {}", engine.limit_in(&error).expect("a limit ended it"));
    Ok(())
}
