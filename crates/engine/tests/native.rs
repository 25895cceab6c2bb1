//! Native code from end to end: a module becomes an object, is loaded, called, and ended by traps.

use aot::{Assembly, Clang, Output, Precision, Target};
use engine::native::{Error, Extern, Instance, Limits, Object, Policy, Store, Trap, Value};

const LIMITS: Limits =
    Limits { memory_bytes_max: 1 << 30, table_elements_max: 1 << 20, stack_bytes_max: 512 << 10 };

fn load(wat: &str, policy: Policy) -> engine::native::Module {
    let wasm = wat::parse_str(wat).unwrap();
    let target = Target::host().expect("a target that is known");
    let mut assembly = Assembly::new(target);
    assembly.add("m", &wasm, policy, Precision::Precise).unwrap();
    let clang = Clang::find(&std::env::var_os("PATH").unwrap()).unwrap();
    let object = clang.compile(&assembly.finish(), &target, target.cpu, 2, Output::Shared).unwrap();
    // SAFETY: it was made just now.
    unsafe { Object::load(&object) }.unwrap().module("m").unwrap()
}

fn call(store: &mut Store, instance: Instance, name: &str, args: &[Value]) -> Result<Vec<Value>, Error> {
    store.func(instance, name).unwrap().call(store, args)
}

fn trap(result: Result<Vec<Value>, Error>) -> Trap {
    match result {
        Err(Error::Trap(trap)) => trap,
        other => panic!("no trap: {other:?}"),
    }
}

const WAT: &str = r#"
(module
  (import "host" "twice" (func $twice (param i32) (result i32)))
  (memory (export "memory") 1 2)
  (data (i32.const 8) "\2a\00\00\00")
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "twice") (param i32) (result i32) (call $twice (local.get 0)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "sum") (param i32) (result i64) (local i64)
    (loop
      (local.set 1 (i64.add (local.get 1) (i64.extend_i32_u (local.get 0))))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1))
  (func $down (export "down") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then
        (i32.store (i32.const 0) (local.get 0)) ;; so that the recursion cannot become a loop
        (i32.store (i32.const 4) (call $down (i32.sub (local.get 0) (i32.const 1))))
        (i32.add (i32.const 1) (i32.load (i32.const 4))))
      (else (i32.const 0))))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "stop") unreachable))
"#;

#[test]
fn a_module_is_compiled_loaded_and_called() {
    for policy in Policy::ALL.into_iter().take(2) {
        let module = load(WAT, policy);
        let mut store = Store::new(LIMITS);
        let twice = store.function("i:i", |args| match args {
            [Value::I32(value)] if *value < 100 => Ok(vec![Value::I32(value * 2)]),
            _ => Err("too large".into()),
        });
        let instance = store.instantiate(&module, &[Extern::Func(twice)]).unwrap();
        let store = &mut *store;
        let i32 = Value::I32;
        assert_eq!(call(store, instance, "add", &[i32(2), i32(3)]).unwrap(), [i32(5)]);
        assert_eq!(call(store, instance, "twice", &[i32(21)]).unwrap(), [i32(42)]);
        assert!(matches!(call(store, instance, "twice", &[i32(100)]), Err(Error::Host(_))));
        assert_eq!(call(store, instance, "load", &[i32(8)]).unwrap(), [i32(42)]);
        assert_eq!(call(store, instance, "sum", &[i32(1000)]).unwrap(), [Value::I64(500_500)]);
        assert_eq!(call(store, instance, "down", &[i32(1000)]).unwrap(), [i32(1000)]);
        assert_eq!(trap(call(store, instance, "load", &[i32(65533)])), Trap::MemoryOutOfBounds);
        assert_eq!(trap(call(store, instance, "load", &[i32(-1)])), Trap::MemoryOutOfBounds);
        assert_eq!(trap(call(store, instance, "stop", &[])), Trap::Unreachable);
        assert_eq!(trap(call(store, instance, "down", &[i32(-1)])), Trap::StackOverflow);
        assert_eq!(trap(call(store, instance, "divide", &[i32(1), i32(0)])), Trap::DivideByZero);
        assert_eq!(trap(call(store, instance, "divide", &[i32(i32::MIN), i32(-1)])), Trap::IntegerOverflow);
        assert_eq!(call(store, instance, "grow", &[i32(1)]).unwrap(), [i32(1)]);
        assert_eq!(call(store, instance, "grow", &[i32(1)]).unwrap(), [i32(-1)]);
        assert_eq!(call(store, instance, "load", &[i32(65533)]).unwrap(), [i32(0)]);
    }
}

/// Each never ends by itself, and spends its time elsewhere: in its own code, in the host, in built-ins.
const ENDLESS: [&str; 4] = [
    "(br $again)",
    "(call $host) (br $again)",
    "(memory.fill (i32.const 0) (i32.const 1) (i32.const 6000000)) (br $again)",
    "(drop (memory.grow (i32.const 0))) (br $again)",
];

/// Fewer where the processor may be emulated: to reserve a memory is much work there.
const INTERRUPTIONS: usize = if cfg!(target_arch = "x86_64") { 50 } else { 5 };

#[test]
fn endless_code_is_interrupted_wherever_it_is() {
    for body in ENDLESS {
        let module = load(
            &format!(
                r#"(module (import "host" "call" (func $host)) (memory 100)
                  (func (export "run") (call $host) (loop $again {body})))"#
            ),
            Policy::Guarded,
        );
        for _ in 0..INTERRUPTIONS {
            let mut store = Store::new(LIMITS);
            let interrupter = store.interrupter();
            let (begun, begins) = std::sync::mpsc::channel();
            let host = store.function(":", move |_| {
                let _ = begun.send(());
                Ok(Vec::new())
            });
            let instance = store.instantiate(&module, &[Extern::Func(host)]).unwrap();
            let asking = std::thread::spawn(move || {
                begins.recv().unwrap();
                while interrupter.interrupt() {
                    std::thread::yield_now();
                }
            });
            assert_eq!(trap(call(&mut store, instance, "run", &[])), Trap::Interrupted, "{body}");
            asking.join().unwrap();
            assert_eq!(trap(call(&mut store, instance, "run", &[])), Trap::Interrupted, "stays so");
        }
    }
}
